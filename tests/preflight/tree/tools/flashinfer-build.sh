if [[ "${CUDA_VERSION}" == 12.[8-9]* ]]; then
    FI_TORCH_CUDA_ARCH_LIST="8.0 9.0a 12.0"
else
    FI_TORCH_CUDA_ARCH_LIST="8.0 9.0a 11.0 12.0f"
fi
