"""Views of a subject: how each of its kernels reaches each device in question."""
