"""Examines the environment it runs in and writes down what it sees: facts, never verdicts.

    python3 run.py [--devices "12.1 11.0"] [--only PROBE] [--seconds N] FOLDER

writes FOLDER/PROBE.json for every probe of this folder; ``-`` for the folder writes all of them
to standard output as one object. Nothing but Python 3.10 and its standard library is needed, no
network is used, and a GPU that is there is hidden: a builder has none, and the facts are the same
on every machine. What smforge makes of the facts is no concern of this program, so it exits with 0
whenever they are written.

Each probe runs in a process of its own (worker.py), with a time limit, so that none can take
another one's facts with it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import site
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

SCHEMA_VERSION = 1
PROBES = ("models", "extensions", "ptxas", "flashinfer", "serving")
WITH_ASSUMPTIONS = ("models", "serving")
"""Probes that can also examine things as if there were a driver."""
_HERE = Path(__file__).resolve().parent
_SAID_BYTES = 4000
_REPORT_BYTES = 64 << 20
_DEAD_END = "http://127.0.0.1:9"
"""Nothing listens on the discard port."""


def main() -> int:
    """Run the probes that are asked for."""
    arguments = _arguments()
    documents = {}
    for probe in arguments.only or PROBES:
        with tempfile.TemporaryDirectory(prefix="probe-") as scratch:
            documents[probe] = examine(probe, arguments.devices.split(), arguments, Path(scratch))
    if arguments.folder == "-":
        sys.stdout.write(json.dumps(documents))
        return 0
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for probe, document in documents.items():
        partial = folder / f".{probe}.json"
        partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        partial.replace(folder / f"{probe}.json")
    return 0


def examine(
    probe: str, devices: list[str], limits: argparse.Namespace, scratch: Path
) -> dict[str, Any]:
    """The document of one probe; `scratch` stands for the home directory and every cache."""
    started = time.monotonic()
    request = {"devices": devices, "item_seconds": limits.item_seconds}
    lines, ended, said = _listen(probe, request, limits.seconds, scratch)
    head = next((line for line in lines if line["kind"] == "head"), {})
    items = [line for line in lines if line["kind"] == "item"]
    unwell = {line["item"] for line in items if line["failure"] or line["ended"]}
    if probe in WITH_ASSUMPTIONS and unwell and ended is None:
        # What fails here is looked at once more as if there were a driver.
        request |= {"assuming": True, "only": sorted(unwell)}
        more, _, _ = _listen(probe, request, limits.seconds, scratch)
        items += [line for line in more if line["kind"] == "item"]
    answered = {line["item"] for line in items}
    listed = head.get("items", [])
    return {
        "schema_version": SCHEMA_VERSION,
        "probe": probe,
        "python": platform.python_version(),
        "prefix": sys.prefix,
        "seconds": round(time.monotonic() - started, 3),
        "devices": devices,
        "there": head.get("there"),
        "packages": head.get("packages", {}),
        "settings": head.get("settings", {}),
        "failure": next((line["failure"] for line in lines if line["kind"] == "failure"), None),
        "ended": ended,
        "said": said if ended else "",
        "items": [{name: line[name] for name in line if name != "kind"} for line in items],
        "not_examined": [item for item in listed if item not in answered],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Write down facts about this environment.")
    parser.add_argument("folder", help="where to write PROBE.json; - for standard output")
    parser.add_argument("--devices", default="", help="compute capabilities between spaces")
    parser.add_argument("--only", action="append", choices=PROBES, help="this probe; repeatable")
    parser.add_argument("--seconds", type=float, default=1200.0, help="for each probe")
    parser.add_argument("--item-seconds", type=float, default=300.0, help="for each thing examined")
    return parser.parse_args()


def _listen(
    probe: str, request: dict[str, Any], seconds: float, scratch: Path
) -> tuple[list[dict[str, Any]], str | None, str]:
    """Run a worker to its end: what it reported, how it ended (None: well), its last words."""
    reading, writing = os.pipe()
    with (scratch / "said").open("w+b") as said, os.fdopen(reading, "rb") as reports:
        process = subprocess.Popen(
            [sys.executable, str(_HERE / "worker.py"), probe, str(writing), json.dumps(request)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=(writing,),
            env=_environment(scratch),
            start_new_session=True,
        )
        os.close(writing)
        expired = threading.Event()
        timer = threading.Timer(seconds, _expire, (process, expired))
        timer.start()
        try:
            text = reports.read(_REPORT_BYTES)
            status = process.wait()
        finally:
            timer.cancel()
            _kill(process)
        lines = [json.loads(line) for line in text.split(b"\n")[:-1]]
        ended = f"time limit of {seconds:g} s" if expired.is_set() else _ending(status)
        return lines, ended, _tail(said)


def _environment(scratch: Path) -> dict[str, str]:
    """This process's environment with nowhere to write but `scratch` and nowhere to go."""
    home = str(scratch)
    hidden_gpu = {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"}
    caches = dict.fromkeys(
        ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "FLASHINFER_WORKSPACE_BASE"), home
    )
    caches |= {
        name: f"{home}/{name.lower()}"
        for name in ("HF_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "VLLM_CACHE_ROOT")
    }
    offline = dict.fromkeys(("HF_HUB_OFFLINE", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK"), "1")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        offline |= {name: _DEAD_END, name.upper(): _DEAD_END}
    return {
        **os.environ,
        **hidden_gpu,
        **caches,
        **offline,
        "PYTHONUSERBASE": site.getuserbase(),  # Packages there stay visible without the home.
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _expire(process: subprocess.Popen[bytes], expired: threading.Event) -> None:
    expired.set()
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the worker and its forks, which it leads."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _ending(status: int) -> str | None:
    if status < 0:
        return signal.Signals(-status).name
    return f"exit status {status}" if status else None


def _tail(said: IO[bytes]) -> str:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - _SAID_BYTES))
    return said.read().decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main())
