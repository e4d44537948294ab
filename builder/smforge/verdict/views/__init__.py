"""A subject as the devices in question see it: how every kernel of it reaches each of them."""
