variable "TORCH_CUDA_ARCH_LIST" {
  default = "8.0 9.0 12.0"
}
