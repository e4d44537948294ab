"""Lets ``python -m builder`` do what the ``smforge`` command does."""

from builder.cli.main import run

if __name__ == "__main__":
    run()
