# The release that the tree asks for, so that checks on it take the branch they take in a real build.
set(PACKAGE_VERSION "${SMFORGE_TORCH_VERSION}")
set(PACKAGE_VERSION_COMPATIBLE TRUE)
