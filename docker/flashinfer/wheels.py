"""Make the wheels of FlashInfer's AOT modules: a provider per architecture, and the shim.

Names follow FlashInfer 0.7: the architecture is in the distribution's name, CUDA in the local
version, the CPU in the platform tag (``flashinfer-jit-cache-sm120f==0.7.2+cu130``). The platform
tag is auditwheel's finding. Archives are reproducible: hatchling and auditwheel both take their
times from SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tomli_w

SHIM = "flashinfer-jit-cache"
ENTRY_POINTS = "flashinfer_jit_cache.providers"
PACKAGES = Path(__file__).parent / "packages"
PROVIDED_BY_OTHERS = (
    "libcu*.so.*",
    "libnv*.so.*",
    "libtvm_ffi.so",
    "libtorch*.so",
    "libc10*.so",
)
"""Libraries that torch, tvm-ffi or the driver bring at run time: not to be put into the wheel."""


def sm(arch: str) -> str:
    """``sm120f`` for the target ``12.0f``: the form of an architecture in distribution names."""
    return "sm" + arch.replace(".", "")


def provider_facts(manifest: dict[str, Any], version: str) -> dict[str, Any]:
    """What a provider says of itself to FlashInfer, from the manifest of what was compiled."""
    name = sm(manifest["arch"])
    return {
        "provider_id": name,
        "distribution": f"{SHIM}-{name}",
        "version": version,
        "cuda_architectures": [name],
        "modules": manifest["modules"],
        "selection": manifest["selection"],
    }


def project(name: str, version: str, summary: str, **more: Any) -> dict[str, Any]:
    """The parts of pyproject.toml that both kinds of wheel share."""
    package = name.replace("-", "_")
    return {
        "build-system": {"requires": ["hatchling"], "build-backend": "hatchling.build"},
        "project": {
            "name": name,
            "version": version,
            "description": summary,
            "requires-python": ">=3.10",
            "license": "Apache-2.0",
            "license-files": ["LICENSE*"],
            **more,
        },
        "tool": {"hatch": {"build": {"targets": {"wheel": {"packages": [package]}}}}},
    }


def tag_for_platform(document: dict[str, Any], **settings: str) -> None:
    """Have the project's wheel tagged by platform_hook.py."""
    hook = {"path": str(Path(__file__).parent / "platform_hook.py"), **settings}
    document["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"] = {"custom": hook}


def write_project(work: Path, document: dict[str, Any], package: str, source: Path) -> Path:
    """Lay out a project in `work`; returns its package's directory."""
    for licence in sorted(source.glob("LICENSE*")):
        shutil.copy(licence, work)
    name = document["project"]["name"].replace("-", "_")
    shutil.copytree(PACKAGES / package, work / name)
    (work / "pyproject.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
    return work / name


def build(work: Path, out: Path) -> Path:
    """Build the one wheel of the project in `work`."""
    subprocess.run(
        (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)),
        cwd=work,
        check=True,
    )
    (wheel,) = out.glob("*.whl")
    return wheel


def provider(modules: Path, version: str, source: Path, out: Path) -> None:
    """Make the provider wheel of the modules that `compile_modules` left in `modules`."""
    manifest = json.loads((modules / "manifest.json").read_text(encoding="utf-8"))
    facts = provider_facts(manifest, version)
    package = facts["distribution"].replace("-", "_")
    document = project(
        facts["distribution"],
        facts["version"],
        f"FlashInfer's modules compiled for {facts['provider_id']}",
        **{"entry-points": {ENTRY_POINTS: {facts["provider_id"]: f"{package}:provider"}}},
    )
    tag_for_platform(document)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        folder = write_project(work, document, "provider", source)
        shutil.copytree(modules / "modules", folder / "jit_cache")
        text = json.dumps(facts, indent=2) + "\n"
        (folder / "provider.json").write_text(text, encoding="utf-8")
        wheel = build(work, work / "dist")
        excludes = [f"--exclude={pattern}" for pattern in PROVIDED_BY_OTHERS]
        command = ("auditwheel", "repair", "--only-plat", *excludes, "-w", str(out), str(wheel))
        subprocess.run(command, check=True)
    shutil.copy(modules / "manifest.json", out)


def shim(archs: list[str], version: str, source: Path, out: Path) -> None:
    """Make the shim, which requires the provider of every architecture in the same version."""
    document = project(
        SHIM,
        version,
        "Finds FlashInfer's modules compiled ahead of time",
        dependencies=[f"{SHIM}-{sm(arch)}=={version}" for arch in archs],
    )
    # The oldest system that installers know by this form of name; there is nothing compiled in it.
    tag_for_platform(document, system="manylinux_2_17")
    with tempfile.TemporaryDirectory() as scratch:
        write_project(Path(scratch), document, "shim", source)
        build(Path(scratch), out)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("provider", "shim"):
        one = kinds.add_parser(kind)
        one.add_argument("--version", required=True, help="for example 0.7.2+cu130")
        one.add_argument("--source", type=Path, default=Path("/src"), help="FlashInfer's tree")
        one.add_argument("--out", type=Path, required=True)
    kinds.choices["provider"].add_argument("--modules", type=Path, required=True)
    kinds.choices["shim"].add_argument("--archs", required=True, help="targets between spaces")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.kind == "provider":
        provider(arguments.modules, arguments.version, arguments.source, arguments.out)
    else:
        shim(arguments.archs.split(), arguments.version, arguments.source, arguments.out)


if __name__ == "__main__":
    main()
