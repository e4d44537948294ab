"""``smforge builder init``: a builder of buildx that is configured for this workload."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from smforge.bake.host.builders import BuilderSettings, configuration, create, create_command
from smforge.bake.host.own_engine import use_own_engine
from smforge.bake.host.settings import HOST_NETWORK, HostSettings
from smforge.cli.output import print_result, write_report
from smforge.errors import UsageError


@click.command("builder")
@click.argument("action", type=click.Choice(["init"]))
@click.option("--name", default="smforge", show_default=True, help="The name of the builder.")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("buildkitd.toml"),
    show_default=True,
    help="The configuration that is written. A file with another content is kept.",
)
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="REGISTRY=HOST",
    help="A mirror to ask first: docker.io=mirror.example:5000; repeatable.",
)
@click.option(
    "--plain-http",
    "plain_http",
    multiple=True,
    metavar="HOST",
    help="A registry or mirror that speaks HTTP without TLS; repeatable.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Build steps at once.  [default: 1, since one takes all cores and memory]",
)
@click.option(
    "--cache-gb",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="The most that the builder keeps, in GB; layers alone two thirds of it.",
)
@click.option("--driver", default="docker-container", show_default=True, help="As for buildx.")
@click.option("--driver-opt", "options", multiple=True, help="As for buildx; repeatable.")
@click.option(
    "--node-platform",
    "platforms",
    multiple=True,
    metavar="OS/CPU",
    help="What the builder's node builds, where it does not find that out; repeatable.",
)
@click.option("--write-only", is_flag=True, help="Write the file, and create no builder.")
def command(  # noqa: PLR0913, PLR0917  # one per option
    action: str,  # noqa: ARG001  # there is one so far
    name: str,
    file: Path,
    mirrors: tuple[str, ...],
    plain_http: tuple[str, ...],
    steps: int | None,
    cache_gb: int,
    driver: str,
    options: tuple[str, ...],
    platforms: tuple[str, ...],
    write_only: bool,
) -> int:
    """Write buildkitd.toml for this workload, and create a builder with it through buildx.

    The file has the mirrors, the certificates of SMFORGE_CA_BUNDLE, the steps at once and what is
    kept: compilations longer than layers. Builds use the builder with --builder NAME. More
    nodes, remote and cloud builders are added with 'docker buildx create --append', and smforge
    uses them as they are. Exit codes: 0 created, 2 a file is there, 4 buildx refuses.

    \b
    smforge builder init
    smforge builder init --name farm --mirror docker.io=mirror.example:5000 --cache-gb 200
    """
    use_own_engine()
    host = HostSettings.from_environment(os.environ)
    text = configuration(
        BuilderSettings(
            mirrors=_mirrors(mirrors),
            plain_http=plain_http,
            ca_bundle=host.ca_bundle,
            steps=steps,
            cache_gb=cache_gb,
            host_network=host.network == HOST_NETWORK,
        )
    )
    if file.is_file() and file.read_text(encoding="utf-8") != text:
        raise UsageError(
            f"{file} is there with another content.", remedy="Remove it, or name another --file."
        )
    write_report(file, text)
    words = create_command(name, file, driver, options, platforms)
    if write_only:
        print_result(f"{file} is written. To create the builder:\n{shlex.join(words)}")
        return 0
    create(words)
    print_result(
        f"{file} is written, and the builder {name} is created. To build with it:\n"
        f"smforge build --builder {name}"
    )
    return 0


def _mirrors(words: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        registry, equals, mirror = word.partition("=")
        if not (registry and equals and mirror) or "://" in mirror:
            raise UsageError(
                f"{word!r} is no mirror.",
                remedy="Write REGISTRY=HOST: docker.io=mirror.example:5000.",
            )
        found[registry] = (*found.get(registry, ()), mirror)
    return found
