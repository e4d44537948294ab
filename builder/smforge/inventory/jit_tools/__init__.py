"""The files of the host on which GPU code depends: assemblers, JIT compilers, libraries of CUDA."""
