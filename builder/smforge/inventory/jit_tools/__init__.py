"""What a subject brings beside GPU code and decides whether GPU code can be made on the device."""
