"""The exact command, against the real buildx (which needs no engine to resolve a definition)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.bake.command import BakeCall
from smforge.bake.definition import resolve_definition
from smforge.bake.host.node_means import Means
from smforge.bake.host.settings import HostSettings
from smforge.errors import ConfigurationError, ToolError, UsageError
from smforge.plan.records import Cell
from smforge.workflow.building.bake_calls import call_for, resolve_call
from smforge.workflow.building.settings import BuildSettings


def call(**changes: object) -> BakeCall:
    plain = BakeCall(
        root=Path("/site"),
        matrix=Path("/site/versions.json"),
        override=Path("/site/out/o.json"),
        metadata=Path("/site/out/m.json"),
        targets=("base", "wheel"),
        variables={"MAX_JOBS": "2"},
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_the_command_is_exactly_this() -> None:
    one = call(reads=(Path("/etc/ca.pem"),), writes=(Path("/site/out/p"),), host_network=True)
    assert one.text == (
        "docker buildx bake -f docker-bake.hcl -f versions.json -f /site/out/o.json "
        "--progress=rawjson --metadata-file=/site/out/m.json --allow=fs.read=/etc/ca.pem "
        "--allow=fs.write=/site/out/p --allow=network.host base wheel"
    )


def test_a_matrix_elsewhere_keeps_its_path() -> None:
    assert "-f /other/matrix.json -f" in call(matrix=Path("/other/matrix.json")).text


def test_the_environment_cannot_change_what_was_printed() -> None:
    environment = {"MAX_JOBS": "64", "PATH": "/bin"}
    assert call().environment(environment) == {"PATH": "/bin"}


@pytest.mark.engine
def test_bake_resolves_the_override_without_an_engine(
    settings: BuildSettings,
    cell: Callable[..., Cell],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("TEXT", "from the environment")
    odd = 'a "quoted" $x ü'
    one, definition = resolve_call(settings, cell("made", TEXT=odd))
    assert definition.targets == ("made",)
    assert definition.document["target"]["made"]["args"]["TEXT"] == odd
    assert definition.destinations(one.root) == {"made": (settings.paths(cell()).staging,)}


@pytest.mark.engine
def test_an_unknown_target_is_refused_with_bakes_reason(
    settings: BuildSettings, cell: Callable[..., Cell]
) -> None:
    with pytest.raises(ConfigurationError, match="failed to find target nowhere"):
        resolve_call(settings, cell("nowhere"))


@pytest.mark.engine
def test_without_docker_the_error_says_so(
    settings: BuildSettings,
    cell: Callable[..., Cell],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    one, _ = resolve_call(settings, cell("made"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="docker client is not installed"):
        resolve_definition(one)


@pytest.mark.engine
def test_docker_without_buildx_is_named(
    settings: BuildSettings,
    cell: Callable[..., Cell],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    one, _ = resolve_call(settings, cell("made"))
    # A client that answers as docker does when the plugin is absent.
    fake = tmp_path / "docker"
    fake.write_text("#!/bin/sh\necho 'docker: unknown command: docker buildx' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(ToolError, match="no buildx command"):
        resolve_definition(one)


def test_the_sites_certificates_come_from_our_setting_first(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.pem", tmp_path / "theirs.pem"
    for file in (ours, theirs):
        file.write_text("-----BEGIN CERTIFICATE-----\n")
    both = {"SMFORGE_CA_BUNDLE": str(ours), "PIP_CERT": str(theirs)}
    assert HostSettings.from_environment(both).ca_bundle == ours
    assert HostSettings.from_environment({"PIP_CERT": str(theirs)}).ca_bundle == theirs
    assert HostSettings.from_environment({**both, "SMFORGE_CA_BUNDLE": ""}).ca_bundle is None
    assert HostSettings.from_environment({}).ca_bundle is None
    with pytest.raises(UsageError, match="SMFORGE_CA_BUNDLE names"):
        HostSettings.from_environment({"SMFORGE_CA_BUNDLE": str(tmp_path / "absent")})


PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize("spelt", [str.lower, str.upper])
def test_steps_get_the_proxies_of_the_host(spelt: Callable[[str], str]) -> None:
    given = {"http_proxy": PROXY, "https_proxy": PROXY, "no_proxy": "localhost,u@h"}
    host = HostSettings.from_environment({spelt(name): value for name, value in given.items()})
    assert host.step_proxies == {
        "PROXY_HTTP": PROXY,
        "PROXY_HTTPS": PROXY,
        "PROXY_NONE": "localhost,u@h",
    }
    assert HostSettings.from_environment({"http_proxy": ""}).step_proxies == {}


def test_a_proxy_with_credentials_is_refused_where_it_would_be_published(
    cell: Callable[..., Cell], settings: BuildSettings
) -> None:
    host = HostSettings.from_environment({"https_proxy": "http://me:secret@proxy.example:3128"})
    with pytest.raises(UsageError) as caught:
        resolve_call(dataclasses.replace(settings, host=host), cell("made"))
    assert "https_proxy holds credentials" in caught.value.message
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("setting", ["SMFORGE_SOURCES_MIRROR", "VLLM_SOURCE"])
def test_a_setting_that_names_no_directory_is_refused(setting: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{setting} names .* no directory"):
        HostSettings.from_environment({setting: str(tmp_path / "absent")})
    host = HostSettings.from_environment({setting: str(tmp_path)})
    assert tmp_path in {host.sources_mirror, host.checkout}
    assert HostSettings.from_environment({setting: ""}).origin.mirror is None


def test_certificates_and_the_hosts_network_are_allowed_by_name(
    settings: BuildSettings, cell: Callable[..., Cell], tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")
    settings = dataclasses.replace(settings, host=HostSettings(bundle, "host"))
    argv = call_for(settings, cell("made"), Means(2, 8 << 30, ("linux/amd64",))).argv
    assert f"--allow=fs.read={bundle}" in argv
    assert "--allow=network.host" in argv


def test_a_cell_for_another_cpu_is_compiled_where_the_builder_is(
    settings: BuildSettings, cell: Callable[..., Cell]
) -> None:
    arm = dataclasses.replace(cell("made"), platform="linux/arm64")
    variables = call_for(settings, arm, Means(2, 8 << 30, ("linux/amd64",))).variables
    assert (variables["BUILD_PLATFORM"], variables["CROSS_CPU"]) == ("linux/amd64", "aarch64")
    variables = call_for(settings, arm, Means(2, 8 << 30, ("linux/arm64",))).variables
    assert (variables["BUILD_PLATFORM"], variables["CROSS_CPU"]) == ("", "")
