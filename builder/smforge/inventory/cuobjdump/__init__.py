"""The second opinion: an inventory made from what NVIDIA's cuobjdump prints."""
