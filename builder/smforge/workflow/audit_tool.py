"""Builds the image of the audit tool: ``python -m smforge.workflow.audit_tool``.

`make audit-tool` runs it in a checkout, after `make dist`, whose wheel it installs. The image is
audited like any other: it holds no GPU code, so the right verdict is "nothing" (exit code 3).
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from smforge.bake.baking import bake
from smforge.bake.cell_paths import CellPaths, promote, shown, staging
from smforge.bake.command import BakeCall
from smforge.bake.diagnosis import failure
from smforge.bake.host import engine as engines
from smforge.bake.host.crossing import host_platform
from smforge.bake.host.own_engine import use_own_engine
from smforge.bake.host.settings import HostSettings
from smforge.bake.inputs.checkout import revision_of
from smforge.bake.inputs.rootfs import Rootfs, default_store, ensure_rootfs
from smforge.errors import BuildFailedError, ConfigurationError, SmforgeError
from smforge.matrix.bases import image_suite
from smforge.matrix.load import load as load_matrix
from smforge.matrix.place import require_bake_file
from smforge.publish.images import LAYOUT
from smforge.publish.load import load
from smforge.report.build import report_of
from smforge.verdict.audit import audit
from smforge.verdict.request import AuditRequest
from smforge.version import __version__
from smforge.workflow.building.messages import Messages

TARGET = "audit-tool"
IMAGE = f"smforge/audit:{__version__}"


def build(matrix: Path, out: Path, platform: str, messages: Messages) -> Path:
    """Build the image of a checkout with its matrix; returns its OCI layout below `out`.

    Raises `ConfigurationError` where no wheel has been made, `BuildFailedError` where the build
    fails or the image holds GPU code, and what the engine's errors are.
    """
    root = require_bake_file(matrix)
    if not list((root / "dist").glob("smforge-*.whl")):
        raise ConfigurationError(
            f"There is no wheel in {root / 'dist'}.", remedy="Run 'make dist'."
        )
    paths = CellPaths(out.resolve(), TARGET, platform)
    call = _call(matrix, root, paths, HostSettings.from_environment(os.environ), messages)
    with staging(paths):
        messages.explain(f"cd {root} && {call.text}")
        baked = bake(call, paths, datetime.now(UTC), messages.progress(f"{TARGET} {platform}"))
        if not baked.succeeded:
            raise failure(
                baked.outcome,
                log_of=lambda target: shown(paths.logs / f"{target}.log"),
                engine_answers=lambda: engines.client_answer() is not None,
            )
        _require_no_gpu_code(paths.staging / LAYOUT)
        promote(paths)
    return paths.final / LAYOUT


def _call(
    matrix: Path, root: Path, paths: CellPaths, host: HostSettings, messages: Messages
) -> BakeCall:
    epoch = load_matrix(matrix).document.source_date_epoch
    cpu = paths.platform.rpartition("/")[2]
    devel = Rootfs(image_suite(), cpu, epoch)
    roots = {"ROOTFS_DIR": devel, "AUDIT_ROOTFS_DIR": replace(devel, purpose="tool")}
    made = {
        variable: ensure_rootfs(rootfs, default_store(), announce=messages.announce)
        for variable, rootfs in roots.items()
    }
    return BakeCall(
        root=root,
        matrix=matrix.resolve(),
        override=paths.override,
        metadata=paths.metadata,
        targets=(TARGET,),
        variables={
            **{variable: str(folder) for variable, folder in made.items()},
            **host.bake_variables,
            "PLATFORM": paths.platform,
            "SOURCE_DATE_EPOCH": str(epoch),
            "OUT_DIR": str(paths.staging),
            "REVISION": revision_of(root) or "",
            "AUDIT_TOOL_VERSION": __version__,
        },
        reads=(*made.values(), *host.lent),
        writes=(paths.staging,),
        host_network=host.needs_host_network,
    )


def _require_no_gpu_code(layout: Path) -> None:
    """Audit the image; one that reads GPU code has none of its own."""
    report = report_of(audit(f"oci:{layout}", AuditRequest()))
    if report.verdict != "nothing":
        raise BuildFailedError(
            f"The image of the audit tool has the verdict {report.verdict!r}, not 'nothing'.",
            remedy=f"'smforge audit oci:{layout}' shows what is in it.",
        )


def main(arguments: Sequence[str]) -> int:
    """Build the image, and load it into the engine with ``--load``; returns the exit code."""
    parser = ArgumentParser(prog="python -m smforge.workflow.audit_tool", description=__doc__)
    parser.add_argument("--platform", default=host_platform(), help="linux/amd64 or linux/arm64")
    parser.add_argument("--out", type=Path, default=Path("out"), help="where the image goes")
    parser.add_argument("--load", action="store_true", help=f"give it to the engine as {IMAGE}")
    flags = parser.parse_args(arguments)
    use_own_engine()
    try:
        layout = build(Path("versions.json"), flags.out, flags.platform, Messages())
        sys.stdout.write(f"{shown(layout)}: no GPU code in it, as it should be\n")
        if flags.load:
            sys.stdout.write(f"loaded: {IMAGE} ({load(layout, IMAGE)})\n")
    except SmforgeError as error:
        sys.stderr.write(f"smforge: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
