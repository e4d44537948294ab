"""What the nodes of a builder compile with, and which of them counts for a platform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smforge.bake.host.builders import Node
from smforge.bake.host.engine import Engine, Machine
from smforge.bake.host.node_means import Means, option_limits
from smforge.plan.records import Cell
from smforge.workflow.building.bake_calls import call_for, say_what_is_not_known
from smforge.workflow.building.messages import Messages
from smforge.workflow.building.settings import BuildSettings

GIB = 1 << 30
AMD, ARM = "linux/amd64", "linux/arm64"
UNKNOWN = Means(None, None, (AMD,))


def machine(
    name: str, cores: int | None, gib: int | None, *platforms: str, status: str = "running"
) -> Machine:
    node = Node(name, "tcp://farm.example:1234", status, "v0.25", platforms, (), {})
    return Machine(node, cores, None if gib is None else gib * GIB)


def engine(*machines: Machine, driver: str = "remote") -> Engine:
    return Engine("0.29", "farm", driver, machines)


@pytest.mark.parametrize(
    ("driver", "options", "expected"),
    [
        ("kubernetes", {"limits.cpu": "8", "limits.memory": "32Gi"}, (8, 32 * GIB)),
        ("kubernetes", {"limits.cpu": "3500m", "limits.memory": "32G"}, (3, 32 * 1000**3)),
        ("kubernetes", {"requests.cpu": "4", "limits.memory": "x"}, (4, None)),
        ("kubernetes", {"limits.cpu": "500m"}, (1, None)),
        ("docker-container", {"memory": "4g", "cpu-quota": "250000"}, (2, 4 * GIB)),
        ("docker-container", {"cpu-quota": "400000", "cpu-period": "50000"}, (8, None)),
        ("docker-container", {"cpu-quota": "-1", "memory": "512MB"}, (None, 512 << 20)),
        ("docker-container", {"cpu-quota": "1000", "cpu-period": "0"}, (None, None)),
        ("remote", {"memory": "4g"}, (None, None)),
        ("of-tomorrow", {}, (None, None)),
    ],
)
def test_the_options_of_a_driver_limit_its_nodes(
    driver: str, options: dict[str, str], expected: tuple[int | None, int | None]
) -> None:
    assert option_limits(driver, options) == expected


def test_the_node_of_a_platform_counts_for_it() -> None:
    found = engine(machine("x", 64, 256, AMD, ARM), machine("a", 4, 8, ARM))
    assert found.native == (AMD, ARM)
    assert found.means(AMD) == Means(64, 256 * GIB, (AMD, ARM))
    # The other node can run it as well, through an emulator, but is not chosen for it.
    assert found.means(ARM) == Means(4, 8 * GIB, (AMD, ARM))


def test_of_several_nodes_the_least_counts_and_an_unknown_one_makes_it_unknown() -> None:
    two = engine(machine("1", 64, 32, AMD), machine("2", 8, 256, AMD))
    assert two.means(AMD) == Means(8, 32 * GIB, (AMD,))
    assert engine(machine("1", 64, 32, AMD), machine("2", None, 8, AMD)).means(AMD).cores is None
    # Nodes that are not started do not say what they build.
    assert engine(machine("1", 2, 8)).means(ARM) == Means(2, 8 * GIB, ())


def test_nothing_of_this_host_counts_where_a_node_says_nothing(
    settings: BuildSettings, cell: Callable[..., Cell]
) -> None:
    def jobs(**stated: Any) -> str:
        return call_for(replace(settings, **stated), cell("made"), UNKNOWN).variables["MAX_JOBS"]

    assert jobs() == "1"
    assert jobs(cores=6, memory_bytes=256 * GIB) == "6"
    assert jobs(cores=6, memory_bytes=5 * GIB) == "1"
    assert jobs(cores=6) == "1"
    assert jobs(jobs=7) == "7"


def test_memory_that_a_step_sees_limits_no_jobs_and_a_limit_that_it_does_not_see_does(
    settings: BuildSettings, cell: Callable[..., Cell]
) -> None:
    def jobs(means: Means, **stated: Any) -> str:
        return call_for(replace(settings, **stated), cell("made"), means).variables["MAX_JOBS"]

    seen = Means(8, 5 * GIB, (AMD,))
    assert jobs(seen) == "8"
    assert jobs(replace(seen, memory_hidden=True)) == "1"
    assert jobs(seen, memory_bytes=5 * GIB) == "1"


def test_the_limit_of_a_drivers_options_is_one_that_a_step_may_not_see() -> None:
    whole, limited = machine("whole", 8, 64, AMD), machine("limited", 8, 32, AMD)
    limited = replace(limited, memory_hidden=True)
    assert not engine(whole).means(AMD).memory_hidden
    assert engine(whole, limited).means(AMD).memory_hidden


def test_what_is_not_known_is_said_with_the_flags(
    settings: BuildSettings, cell: Callable[..., Cell], capsys: pytest.CaptureFixture[str]
) -> None:
    loud = replace(settings, messages=Messages())
    say_what_is_not_known(loud, cell("made"), engine(), UNKNOWN)
    said = capsys.readouterr().err
    assert "the builder farm (remote) does not say the cores and memory of its node" in said
    assert "--cores N and --memory GIB" in said
    say_what_is_not_known(replace(loud, jobs=2), cell("made"), engine(), UNKNOWN)
    stated = replace(loud, cores=2, memory_bytes=GIB)
    say_what_is_not_known(stated, cell("made"), engine(), UNKNOWN)
    compiles_nothing = replace(cell("made"), components=())
    say_what_is_not_known(loud, compiles_nothing, engine(), UNKNOWN)
    assert capsys.readouterr().err == ""


def test_a_builder_that_is_named_is_in_the_command(
    settings: BuildSettings, cell: Callable[..., Cell]
) -> None:
    named = call_for(replace(settings, builder="farm"), cell("made"), UNKNOWN)
    assert "--builder=farm" in named.argv
    # Resolving asks no builder.
    assert "--builder=farm" not in named.print_argv
    assert not any("--builder" in word for word in call_for(settings, cell("made"), UNKNOWN).argv)


@pytest.mark.parametrize(
    ("of_engine", "driver", "network"),
    [
        (True, "docker", "host"),
        (True, "remote", "default"),
        (True, "docker-container", "default"),
        (False, "remote", "host"),
    ],
)
def test_the_network_that_this_hosts_engine_needs_is_not_asked_of_others(
    settings: BuildSettings, of_engine: bool, driver: str, network: str
) -> None:
    host = replace(settings.host, network="host")
    given = replace(settings, host=host, network_of_engine=of_engine)
    assert given.for_driver(driver).host.network == network


def test_a_builder_comes_from_a_flag_a_variable_or_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import click  # noqa: PLC0415

    from smforge.cli.commands.build import command  # noqa: PLC0415
    from smforge.cli.settings import Settings  # noqa: PLC0415

    def chosen(*words: str) -> object:
        table = {"build": {"builder": "of-the-file"}}
        default_map = Settings(project / "pyproject.toml", table).of_command(command)
        ctx = click.Context(command, default_map=default_map)
        command.parse_args(ctx, list(words))
        return ctx.params["builder"]

    for name in ("BUILDX_BUILDER", "SMFORGE_BUILD_BUILDER"):
        monkeypatch.delenv(name, raising=False)
    assert chosen() == "of-the-file"
    monkeypatch.setenv("BUILDX_BUILDER", "of-buildx")
    assert chosen() == "of-buildx"
    monkeypatch.setenv("SMFORGE_BUILD_BUILDER", "of-smforge")
    assert chosen() == "of-smforge"
    assert chosen("--builder", "of-the-line") == "of-the-line"
