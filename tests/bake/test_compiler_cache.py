"""Which cache of compilations is asked for, and what is refused before a build starts."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smforge.bake.host.compiler_cache import store_settings, stores
from smforge.bake.host.node_means import Means
from smforge.bake.host.settings import HostSettings
from smforge.errors import UsageError
from smforge.plan.records import Cell
from smforge.workflow.building.bake_calls import call_for
from smforge.workflow.building.settings import BuildSettings

LAUNCHED = Path(__file__).parents[2] / "docker" / "compile-cache" / "with-compile-cache"
NAMES = sorted(name for store in stores() for name in store.known)
CANARY = "canary0123456789"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Mapping[str, str]]:
    """The environment that names a file with these bytes."""

    def write(content: bytes) -> Mapping[str, str]:
        (tmp_path / "sccache.env").write_bytes(content)
        return {"SMFORGE_SCCACHE": str(tmp_path / "sccache.env")}

    return write


def test_a_file_of_sccaches_settings_is_taken(
    written: Callable[[bytes], Mapping[str, str]], tmp_path: Path
) -> None:
    environment = written(b"# ours\n\nSCCACHE_BUCKET=cache\nAWS_SECRET_ACCESS_KEY=a=b c\n")
    assert store_settings(environment) == tmp_path / "sccache.env"
    assert HostSettings.from_environment(environment).compile_store == tmp_path / "sccache.env"


@pytest.mark.parametrize("environment", [{}, {"SMFORGE_SCCACHE": ""}])
def test_without_the_setting_there_is_none(environment: dict[str, str]) -> None:
    assert store_settings(environment) is None


@pytest.mark.parametrize(
    "content",
    [
        b"SCCACHE_REDIS_ENDPOINT=tcp://h\nSCCACHE_REDIS_PASSWORD=p\n",
        b"SCCACHE_WEBDAV_ENDPOINT=http://h\n",
        b"SCCACHE_GHA_ENABLED=on\nACTIONS_RUNTIME_TOKEN=t\n",
    ],
)
def test_each_store_is_taken(
    content: bytes, written: Callable[[bytes], Mapping[str, str]], tmp_path: Path
) -> None:
    assert store_settings(written(content)) == tmp_path / "sccache.env"


def test_stores_share_no_setting_and_each_has_a_name_of_its_own() -> None:
    assert len(NAMES) == len(set(NAMES))
    assert len({store.name for store in stores()}) == len(stores())
    assert all(store.named_by for store in stores())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "names no store"),
        (b"SCCACHE_BUCKET=\n", "names no store"),
        (b"SCCACHE_BUCKET=x\nSCCACHE_BUKET=y\n", "Line 2"),
        (b"export SCCACHE_BUCKET=x\n", "Line 1"),
        (b"SCCACHE_BUCKET=x\nAWS_PROFILE=me\n", "Line 2"),
        (b"SCCACHE_BUCKET=x\n\nSCCACHE_GCS_BUCKET=y\n", "Line 3"),
        (b"SCCACHE_BUCKET=x\n\nSCCACHE_REDIS_ENDPOINT=tcp://h\n", "more than one store: S3, Redis"),
        (b"SCCACHE_REDIS_ENDPOINT=tcp://h\nAWS_ACCESS_KEY_ID=k\n", "AWS_ACCESS_KEY_ID is not of"),
        (b"SCCACHE_BUCKET=\xff\n", "UTF-8"),
    ],
)
def test_what_cannot_work_is_refused(
    content: bytes, reason: str, written: Callable[[bytes], Mapping[str, str]]
) -> None:
    with pytest.raises(UsageError, match=reason):
        store_settings(written(content))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"absent, which cannot be read: No such file"):
        store_settings({"SMFORGE_SCCACHE": str(tmp_path / "absent")})


@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from(NAMES) | st.text(max_size=20),
            st.sampled_from(["=", "", " = ", ":"]),
        )
    )
)
def test_no_refusal_repeats_a_value(
    lines: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "values.env"
    file.write_text("\n".join(f"{name}{sign}{CANARY}" for name, sign in lines), encoding="utf-8")
    assert CANARY not in outcome({"SMFORGE_SCCACHE": str(file)})


def outcome(environment: Mapping[str, str]) -> str:
    """What the user is told, or the path."""
    try:
        return str(store_settings(environment))
    except UsageError as error:
        return f"{error} {error.remedy}"


def test_the_build_gets_the_files_path_and_never_its_content(
    settings: BuildSettings,
    cell: Callable[..., Cell],
    written: Callable[[bytes], Mapping[str, str]],
    tmp_path: Path,
) -> None:
    environment = written(f"SCCACHE_BUCKET=x\nAWS_SECRET_ACCESS_KEY={CANARY}\n".encode())
    settings = replace(settings, host=HostSettings.from_environment(environment))
    call = call_for(settings, cell("made"), Means(2, 8 << 30, ("linux/amd64",)))
    assert f"--allow=fs.read={tmp_path / 'sccache.env'}" in call.argv
    assert str(tmp_path / "sccache.env") in call.override_text
    assert CANARY not in call.override_text + call.text


def test_without_smforge_a_malformed_line_ends_the_step_and_shows_no_value(tmp_path: Path) -> None:
    """Bake alone checks nothing: the step's shell meets the file as it is."""
    here = tmp_path / "with-compile-cache"
    here.write_text(
        LAUNCHED.read_text()
        .replace("/tmp/", f"{tmp_path}/")
        .replace("/run/secrets/sccache", str(tmp_path / "secret"))
    )
    (tmp_path / "count.py").write_text("")
    (tmp_path / "secret").write_text(f"SCCACHE_BUCKET=x\nAWS_SECRET KEY={CANARY}\n")
    done = subprocess.run(("sh", here, "vllm", "true"), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "bad variable name" in done.stderr or "not a valid identifier" in done.stderr
    assert CANARY not in done.stdout + done.stderr
