"""``python -m smforge`` is the ``smforge`` command."""

from smforge.cli.main import run

if __name__ == "__main__":
    run()
