"""What happens while buildx runs: its events, the state of each target, logs and the display."""
