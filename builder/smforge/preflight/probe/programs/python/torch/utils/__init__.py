"""Where torch's CMake package is; the probe sets it."""

import os

cmake_prefix_path = os.environ["SMFORGE_TORCH_PREFIX"]
