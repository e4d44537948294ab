"""What ``smforge audit`` does between its flags and its output."""
