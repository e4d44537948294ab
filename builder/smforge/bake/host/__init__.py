"""What the host and its Docker Engine give a build: settings, job limits, caches, the doctor."""
