"""smforge: builds CUDA wheels and images per architecture and proves what is inside them."""

__version__ = "0.1.0"
