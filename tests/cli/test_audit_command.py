"""``smforge audit`` as a process: what it says, where, and with which exit code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.report.saved import report_from_json

Smforge = Callable[..., "Ran"]  # type: ignore[name-defined]  # noqa: F821 - of conftest.py
pytestmark = pytest.mark.toolchain


class TestQuestions:
    @pytest.mark.parametrize(
        ("words", "code"),
        [
            ("12.0", 0),
            ("12.1", 0),
            ("12.0f", 0),
            ("12.1a", 1),
            ("sm_120", 1),
            ("11.0", 1),
            ("11.0 12.1a", 1),
            ("12.0 12.1 12.0f", 0),
        ],
    )
    def test_a_wheel_for_120f(self, smforge: Smforge, wheel: Path, words: str, code: int) -> None:
        for backend in ("native", "both"):
            ran = smforge("audit", wheel, "--require", words, "--backend", backend)
            assert ran.code == code, ran.out + ran.err

    def test_what_is_missing_is_named_per_module(self, smforge: Smforge, wheel: Path) -> None:
        ran = smforge("audit", wheel, "--require", "11.0 12.1a", "-o", "json")
        report = json.loads(ran.out)
        told = {
            (one["rule"], one["file"], one["device"] or one["target"]) for one in report["findings"]
        }
        assert told >= {
            ("device-missing", None, "11.0"),
            ("device-foreign", "kernels/activation.so", "11.0"),
            ("target-missing", None, "12.1a"),
            ("target-absent", "kernels/activation.so", "12.1a"),
        }

    @pytest.mark.parametrize("backend", ["native", "cuobjdump", "both"])
    def test_120f_is_never_reported_as_120(
        self, smforge: Smforge, wheel: Path, backend: str
    ) -> None:
        ran = smforge("audit", wheel, "--backend", backend, "-o", "json", "--kernels")
        (file,) = json.loads(ran.out)["files"]
        assert {one["target"] for one in file["objects"]} == {"12.0f"}
        assert {one["demangled"] for one in file["kernels"]} == {
            "void act<float>(float*)",
            "void act<int>(int*)",
        }
        assert all(one["targets"] == ["12.0f"] for one in file["kernels"])

    def test_native_and_driver(self, smforge: Smforge, libraries: Path) -> None:
        norm = libraries / "norm.so"
        assert smforge("audit", norm, "--require", "9.0").code == 0
        assert smforge("audit", norm, "--require", "9.0", "--native").code == 1
        ran = smforge("audit", norm, "--require", "9.0", "--driver", "570.195.03")
        assert ran.code == 1
        assert "ptx-newer-than-driver" in ran.out
        assert "580.65.06" in ran.out

    def test_exceptions(self, smforge: Smforge, libraries: Path, tmp_path: Path) -> None:
        norm = libraries / "norm.so"
        policy = tmp_path / "policy.toml"
        policy.write_text(
            'require = ["9.0"]\nnative = true\n[[allow]]\nkernel = "normalise"\n'
            'reason = "assembled at the first load"\nexpires = 2999-01-01\n'
        )
        ran = smforge("audit", norm, "--policy", policy, "-o", "json")
        assert ran.code == 0
        (exempted,) = json.loads(ran.out)["exempted"]
        assert exempted["reason"] == "assembled at the first load"
        assert smforge("audit", norm, "--require", "9.0", "--native", "--allow", "no*").code == 0
        assert smforge("audit", norm, "--require", "9.0", "--native", "--allow", "on*").code == 1

    def test_a_variant_of_the_matrix(self, smforge: Smforge, wheel: Path) -> None:
        ran = smforge("audit", wheel, "--variant", "cu130-spark", "-o", "json")
        assert ran.code == 1
        assert "12.1" in json.loads(ran.out)["question"]["requirements"]

    def test_targets_only(self, smforge: Smforge, wheel: Path) -> None:
        ran = smforge("audit", wheel, "--no-kernels", "--require", "12.1", "-o", "json")
        report = json.loads(ran.out)
        assert ran.code == 0
        assert report["counted"] == "regions"
        assert report["devices"]["12.1"]["kernels"] is None
        assert report["files"][0]["objects"][0]["kernels"] is None

    def test_a_triton_that_cannot_compile_for_the_device(
        self,
        smforge: Smforge,
        libraries: Path,
        compiler_folder: Callable[[str], Path],
        tmp_path: Path,
    ) -> None:
        tree = tmp_path / "tree"
        place = tree / "triton" / "backends" / "nvidia" / "bin"
        place.mkdir(parents=True)
        shutil.copy(libraries / "activation.so", tree)
        shutil.copy(compiler_folder("12.8") / "bin" / "ptxas", place / "ptxas")
        ran = smforge("audit", tree, "--require", "12.1")
        assert ran.code == 1
        assert "TRITON_PTXAS_PATH" in ran.out
        shutil.copy(compiler_folder("12.9") / "bin" / "ptxas", place / "ptxas-blackwell")
        assert smforge("audit", tree, "--require", "12.1").code == 0


class TestOutputs:
    def test_every_form_at_once(self, smforge: Smforge, wheel: Path, tmp_path: Path) -> None:
        forms = {"json": "r.json", "markdown": "r.md", "junit": "r.xml", "sarif": "r.sarif"}
        flags = [f"-o{form}={tmp_path / name}" for form, name in forms.items()]
        ran = smforge("audit", wheel, "--require", "12.1", *flags, "-o", "table")
        assert ran.out.splitlines()[0] == wheel.name
        report = report_from_json((tmp_path / "r.json").read_text())
        assert report.verdict == "pass"
        assert ET.parse(tmp_path / "r.xml").getroot().get("failures") == "0"
        assert json.loads((tmp_path / "r.sarif").read_text())["version"] == "2.1.0"
        assert wheel.name.replace("_", "\\_") in (tmp_path / "r.md").read_text()

    def test_the_table_fits_100_columns(self, smforge: Smforge, libraries: Path) -> None:
        for flags in (["--require", "11.0 12.1 9.0"], []):
            lines = smforge("audit", libraries, *flags).out.splitlines()
            assert max(map(len, lines)) <= 100

    @pytest.mark.parametrize("form", ["table", "json", "markdown", "junit", "sarif", "html"])
    def test_a_terminal_without_utf_8_gets_ascii(
        self, libraries: Path, tmp_path: Path, form: str
    ) -> None:
        named = tmp_path / "é_norm.so"
        shutil.copy(libraries / "norm.so", named)
        command = [
            sys.executable,
            "-m",
            "smforge",
            "audit",
            str(named),
            "--require",
            "12.1",
            "-o",
            form,
        ]
        for encoding, ascii_alone in (("ascii", True), ("utf-8", form == "html")):
            ran = subprocess.run(
                command,
                capture_output=True,
                check=False,
                env={**os.environ, "PYTHONIOENCODING": encoding},
            )
            assert (ran.returncode, ran.stderr) == (0, b"")
            assert ran.stdout.isascii() is ascii_alone

    def test_several_subjects(self, smforge: Smforge, wheel: Path, libraries: Path) -> None:
        ran = smforge("audit", wheel, libraries / "norm.so", "--require", "9.0", "-o", "json")
        assert [one["verdict"] for one in json.loads(ran.out)] == ["fail", "pass"]
        assert ran.code == 1

    def test_a_subject_that_cannot_be_read_is_undetermined_in_every_form(
        self, smforge: Smforge, wheel: Path, tmp_path: Path
    ) -> None:
        cut = tmp_path / "cut-1.0-py3-none-linux_x86_64.whl"
        cut.write_bytes(wheel.read_bytes()[:-40])
        endings = {
            "json": "json",
            "markdown": "md",
            "junit": "xml",
            "sarif": "sarif",
            "html": "html",
        }
        flags = [f"-o{form}={tmp_path / 'r'}.{ending}" for form, ending in endings.items()]
        ran = smforge("audit", cut, wheel, "--require", "12.1", *flags, "-o", "table")
        assert ran.code == 4
        assert str(cut) in ran.err
        read = {form: (tmp_path / f"r.{ending}").read_text() for form, ending in endings.items()}
        for text in (*read.values(), ran.out):
            assert cut.name in text.replace("\\_", "_")
        verdicts = {one["subject"]["name"]: one["verdict"] for one in json.loads(read["json"])}
        assert verdicts == {cut.name: "undetermined", wheel.name: "pass"}
        suites = {one.get("name"): one for one in ET.fromstring(read["junit"])}
        assert suites[cut.name].get("errors") == "1"
        assert suites[wheel.name].get("errors") == suites[wheel.name].get("failures") == "0"
        runs = {one["properties"]["subject"]: one for one in json.loads(read["sarif"])["runs"]}
        assert runs[cut.name]["invocations"][0]["executionSuccessful"] is False
        assert [one["ruleId"] for one in runs[cut.name]["results"]] == ["subject-unread"]
        assert "undetermined" in read["markdown"].splitlines()[0]
        assert '"outcome":"undetermined"' in read["html"]

    def test_a_lone_subject_that_cannot_be_read_has_its_reports_too(
        self, smforge: Smforge, tmp_path: Path
    ) -> None:
        torn = tmp_path / "torn.whl"
        torn.write_bytes(b"PK\x03\x04 and no more")
        ran = smforge("audit", torn, "-o", f"json={tmp_path / 'r.json'}")
        report = report_from_json((tmp_path / "r.json").read_text())
        assert (ran.code, ran.out, report.verdict) == (4, "", "undetermined")
        assert report.findings[0].remedy == "Download it again."

    def test_a_damaged_archive_is_named(self, smforge: Smforge, tmp_path: Path) -> None:
        cut = tmp_path / "cut.whl"
        cut.write_bytes(b"PK\x03\x04 and no more")
        ran = smforge("audit", cut)
        assert ran.code == 4
        assert "cut.whl: The archive has no end record" in ran.err

    def test_digests_are_read_for_the_reports_that_show_them(
        self, smforge: Smforge, libraries: Path, tmp_path: Path
    ) -> None:
        norm = libraries / "norm.so"
        digest = hashlib.sha256(norm.read_bytes()).hexdigest()
        report = tmp_path / "r.json"
        ran = smforge("audit", norm, "--no-kernels", "-o", f"json={report}", "-o", "table")
        assert ran.code == 0
        assert json.loads(report.read_text())["files"][0]["sha256"] == digest
        assert json.loads(report.read_text())["subject"]["digest"] == f"sha256:{digest}"
        assert smforge("audit", norm, "--no-kernels").out == ran.out

    @pytest.mark.parametrize("form", ["table", "json"])
    def test_what_an_audit_does_not_wait_for(self, libraries: Path, form: str) -> None:
        audit = ["audit", "--no-kernels", "-o", form, str(libraries / "norm.so")]
        code = (
            f"import sys; from smforge.cli.main import _exit_code; _exit_code({audit});"
            "print(*sys.modules, file=sys.stderr)"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, text=True
        )
        slow = {"pydantic", "rich", "rich_click", "importlib.metadata", "email", "zipfile"}
        others = {"asyncio", "cxxfilt", "subprocess", "smforge.verdict.checks.jit"}
        imported = set(ran.stderr.split())
        assert "smforge.verdict.judge" in imported
        assert not (slow | others) & imported

    def test_a_platform_chooses_among_images_and_wheels_only(
        self, smforge: Smforge, libraries: Path
    ) -> None:
        ran = smforge("audit", libraries, "--platform", "linux/arm64")
        assert ran.code == 2
        assert "no subject has several" in ran.err


class TestBadInput:
    @pytest.mark.parametrize(
        ("name", "content", "code"),
        [
            ("empty.so", b"", 4),
            ("text.txt", b"nothing here\n", 3),
            ("text.whl", b"this is no wheel\n", None),
        ],
    )
    def test_files_without_code(
        self, smforge: Smforge, tmp_path: Path, name: str, content: bytes, code: int | None
    ) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        ran = smforge("audit", path, "--require", "12.1")
        assert ran.code in ({code} if code else {3, 4})
        assert len(ran.err.strip().splitlines()) == 1

    def test_truncated_things(
        self, smforge: Smforge, wheel: Path, libraries: Path, tmp_path: Path
    ) -> None:
        for whole in (wheel, libraries / "activation.so"):
            size = whole.stat().st_size
            for kept in (size - 30, size // 2, 200):
                cut = tmp_path / whole.name
                cut.write_bytes(whole.read_bytes()[:kept])
                for backend in ("native", "both"):
                    ran = smforge("audit", cut, "--require", "12.1", "--backend", backend)
                    assert ran.code in {3, 4}, (kept, backend, ran.out)

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (["--require", "13.7"], "No device with compute capability 13.7"),
            (["--require", "sm120"], "neither a device nor a target"),
            (["--require", "12.1", "--require", " "], "names no device and no target"),
            (["--driver", "new"], "not a driver version"),
            (["--variant", "no-such"], "no-such"),
            (["--policy", "/no/such/policy.toml"], "cannot be read"),
            (["--kernels", "--no-kernels"], "contradict each other"),
            (["-o", "json", "-o", "table"], "Two outputs"),
        ],
    )
    def test_usage(self, smforge: Smforge, wheel: Path, flags: list[str], said: str) -> None:
        ran = smforge("audit", wheel, *flags)
        assert ran.code == 2
        assert said in ran.err
        assert ran.out == ""

    def test_a_subject_that_does_not_exist(self, smforge: Smforge) -> None:
        assert smforge("audit", "/no/such/thing.whl").code == 2


@pytest.mark.engine
def test_an_image_is_looked_for_in_the_engine_that_the_doctor_finds(
    smforge: Smforge, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    ran = smforge("audit", "image:smforge.invalid/nothing:1")
    assert ran.code == 2
    assert "The engine has no image smforge.invalid/nothing:1" in ran.err
