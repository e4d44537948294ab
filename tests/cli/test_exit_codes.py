"""What --fail-on changes about the exit code, and what it does not change."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.cli.exit_codes import exit_code

Smforge = Callable[..., "Ran"]  # type: ignore[name-defined]  # noqa: F821 - of conftest.py


@pytest.mark.parametrize(
    ("verdict", "levels", "codes"),
    [
        ("pass", ["note"], {"error": 0, "warning": 0, "never": 0}),
        ("pass", ["warning", "note"], {"error": 0, "warning": 1, "never": 0}),
        ("fail", ["error", "warning"], {"error": 1, "warning": 1, "never": 0}),
        ("undetermined", ["error", "warning"], {"error": 4, "warning": 4, "never": 4}),
        ("nothing", ["warning"], {"error": 3, "warning": 3, "never": 3}),
    ],
)
def test_only_exit_code_1_depends_on_it(
    verdict: str, levels: list[str], codes: dict[str, int]
) -> None:
    assert {one: exit_code("x.whl", verdict, levels, one) for one in codes} == codes


@pytest.mark.toolchain
class TestCommands:
    def test_an_audit(self, smforge: Smforge, libraries: Path, tmp_path: Path) -> None:
        norm, saved = libraries / "norm.so", tmp_path / "saved.json"
        warned = ("audit", norm, "--require", "9.0")
        assert smforge(*warned).code == 0
        strict = smforge(*warned, "--fail-on", "warning", "-o", saved)
        assert strict.code == 1
        assert "1 warning makes exit code 1" in strict.err
        assert json.loads(saved.read_text())["verdict"] == "pass"
        assert smforge("report", saved).code == 0
        assert smforge("report", saved, "--fail-on", "warning").code == 1
        lenient = smforge("audit", norm, "--require", "7.5", "--fail-on", "never")
        assert lenient.code == 0
        assert "\nFAIL " in lenient.out
        assert "the verdict is fail" in lenient.err

    def test_no_answer_stays_no_answer(
        self, smforge: Smforge, libraries: Path, tmp_path: Path
    ) -> None:
        broken, empty = tmp_path / "broken.whl", tmp_path / "empty"
        broken.write_bytes(b"PK\x03\x04 and no more")
        empty.mkdir()
        assert smforge("audit", broken, "--fail-on", "never").code == 4
        assert smforge("audit", empty, "--fail-on", "never").code == 3
        failing = libraries / "norm.so"
        both = smforge("audit", failing, broken, "--require", "7.5", "--fail-on", "never")
        assert both.code == 4

    def test_a_comparison(self, smforge: Smforge, libraries: Path) -> None:
        old, new = libraries / "norm.so", libraries / "activation.so"
        assert smforge("diff", old, new).code == 1
        assert smforge("diff", old, new, "--fail-on", "never").code == 0
        assert smforge("diff", old, new, "--fail-on", "warning").code == 2
