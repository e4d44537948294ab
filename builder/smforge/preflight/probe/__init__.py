"""What CMake decides about real sources, read without a compiler or a GPU."""
