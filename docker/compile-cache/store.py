"""See whether the shared store of the compile cache answers, and leave one that falls silent.

usage: store.py ask PLACE
       store.py watch PLACE

A store may take a connection and then say nothing. sccache then waits for minutes with each step of
each file. So a second server of sccache is started, with the store alone: before a server opens its
socket, it reads and writes one entry. `ask` does this once: the exit code is 0 where the store
answers, else 1, and what sccache said goes to stderr. `watch` repeats it until its caller ends.
Where a store is silent twice in a row, it stops the server that compiles. The step's own settings
do not name the store, so the server that the next compiler starts works with the directory alone.
A store that refuses is not left: that costs no time.

The settings of the store come from the environment; only this program and the server have them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SCCACHE = Path(__file__).parent / "bin" / "sccache"
SECONDS_TO_ANSWER = 10.0
SECONDS_BETWEEN = 30.0
SILENT_IN_A_ROW = 2
"""A machine or a network may be busy once."""
_LOOK_SECONDS = 0.05
_OF_THE_SERVER = ("SCCACHE_MULTILEVEL_CHAIN", "SCCACHE_ERROR_LOG", "SCCACHE_LOG")
"""Left out when asking: the directory, which always answers, and where a server says its errors."""


def ask(place: Path) -> int | None:
    """0 where the store answers, sccache's exit code where it refuses, None where it is silent.

    What sccache said is in PLACE/said.
    """
    socket = place / "asking"
    socket.unlink(missing_ok=True)
    settings = {name: text for name, text in os.environ.items() if name not in _OF_THE_SERVER}
    in_foreground = {"SCCACHE_START_SERVER": "1", "SCCACHE_NO_DAEMON": "1"}
    end = time.monotonic() + SECONDS_TO_ANSWER
    with (place / "said").open("wb") as said:
        server = subprocess.Popen(
            (SCCACHE,),
            env={**settings, **in_foreground, "SCCACHE_SERVER_UDS": str(socket)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            while server.poll() is None and time.monotonic() < end:
                if socket.exists():
                    return 0
                time.sleep(_LOOK_SECONDS)
            return server.returncode
        finally:
            server.kill()
            server.wait()


def watch(place: Path) -> None:
    """Ask again and again; stop the server when the store is silent."""
    step, silent = os.getppid(), 0
    while silent < SILENT_IN_A_ROW:
        end = time.monotonic() + SECONDS_BETWEEN
        while time.monotonic() < end:
            if os.getppid() != step:
                return
            time.sleep(_LOOK_SECONDS)
        silent = silent + 1 if ask(place) is None else 0
    print(
        "warning: the shared compile cache does not answer any more; "
        "from here on this build uses the builder's own",
        file=sys.stderr,
        flush=True,
    )
    subprocess.run((SCCACHE, "--stop-server"), stdout=subprocess.DEVNULL, check=False)


def main(what: str, place: Path) -> int:
    """Do what the first word says; gives the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if what == "watch":
        watch(place)
        return 0
    if ask(place) == 0:
        return 0
    sys.stderr.write((place / "said").read_text(encoding="utf-8", errors="replace"))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
