"""smforge diff, on fat binaries that nvcc made and on saved reports of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from smforge.cli.main import run
from smforge.report.schema import PUBLISHED, render

Compile = Callable[..., Path]
Smforge = Callable[..., tuple[int, str, str]]


@pytest.fixture
def smforge(capsys: pytest.CaptureFixture[str]) -> Smforge:
    """Gives: run the command line, and return exit code, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            run([str(one) for one in arguments])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return call


@pytest.mark.toolchain
def test_a_library_that_lost_a_device(fat_binary: Compile, smforge: Smforge) -> None:
    old, new = fat_binary("sm_80", "sm_120"), fat_binary("sm_80")
    code, out, _ = smforge("diff", old, new)
    assert code == 1
    assert "12.0 and 12.1 lose 4 kernels each." in out
    assert "shaped<…>" in out
    assert "-sm_120" in out
    assert smforge("diff", old, new, "--require", "8.0")[0] == 0
    assert smforge("diff", new, old)[0] == 0
    assert smforge("diff", old, new, "--require", "sm_120")[0] == 1


@pytest.mark.toolchain
def test_a_second_build_of_the_same_sources_lost_nothing(
    fat_binary: Compile, smforge: Smforge
) -> None:
    """nvcc names what one source file alone sees by hashes that differ between the builds."""
    old, new = fat_binary("sm_80"), fat_binary("sm_80", "compute_80")
    code, out, _ = smforge("diff", old, new, "--strict", "-o", "json")
    assert code == 0
    assert {one["change"] for one in json.loads(out)["families"]} <= {"same"}


@pytest.mark.toolchain
def test_a_new_object_that_lacks_a_kernel_takes_it_away(
    compile_with: Compile, smforge: Smforge, tmp_path: Path
) -> None:
    """On 12.1 the driver picks sm_121 of the new build, where `guarded` is left out."""
    source = """
    __global__ void both(int *p) { p[0] = 1; }
    #if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ != 1210
    __global__ void guarded(int *p) { p[0] = 2; }
    void launch(int *p) { both<<<1, 1>>>(p); guarded<<<1, 1>>>(p); }
    #endif
    """
    shared = ("-shared", "-Xcompiler", "-fPIC")
    code_120 = ("-gencode", "arch=compute_120,code=sm_120")
    code_121 = ("-gencode", "arch=compute_121,code=sm_121")
    old = compile_with(source, "k.so", *shared, *code_120)
    new = compile_with(source, "k.so", *shared, *code_121, *code_120)
    code, out, _ = smforge("diff", old, new, "--require", "12.1")
    assert code == 1
    assert "12.1 loses 1 kernel." in out
    saved = tmp_path / "new.json"
    smforge("audit", "-q", new, "--kernels", "-o", f"json={saved}")
    assert smforge("diff", old, saved, "--require", "12.1")[0] == 1
    assert smforge("diff", old, new, "--require", "12.0")[0] == 0


@pytest.mark.toolchain
def test_a_kernel_that_is_gone(fat_binary: Compile, smforge: Smforge) -> None:
    old, new = fat_binary("sm_80"), fat_binary("sm_80", without="plain")
    code, out, _ = smforge("diff", old, new)
    assert code == 1
    assert "removed from library.so" in out
    assert smforge("diff", old, new, "--allow", "plain")[0] == 0
    assert smforge("diff", old, new, "--allow-removed")[0] == 0


@pytest.mark.toolchain
def test_saved_reports_give_the_same_answer_as_the_subjects(
    fat_binary: Compile, smforge: Smforge, tmp_path: Path
) -> None:
    old, new = fat_binary("sm_80", "compute_80"), fat_binary("sm_80", "sm_90a")
    for subject, name in ((old, "old"), (new, "new")):
        smforge("audit", subject, "--kernels", "-o", f"json={tmp_path / name}.json")
    live = json.loads(smforge("diff", old, new, "-o", "json")[1])
    saved = json.loads(
        smforge("diff", tmp_path / "old.json", tmp_path / "new.json", "-o", "json")[1]
    )
    for one in (live, saved):
        for side in ("old", "new"):
            del one[side]["saved"]
    assert live == saved


@pytest.mark.toolchain
def test_a_report_without_names_is_compared_by_counts_and_says_so(
    fat_binary: Compile, smforge: Smforge, tmp_path: Path
) -> None:
    old, new = fat_binary("sm_80", "sm_120"), fat_binary("sm_80")
    smforge("audit", old, "-o", f"json={tmp_path / 'old.json'}")
    code, out, _ = smforge("diff", tmp_path / "old.json", new)
    assert code == 1
    assert "Compared by the number of kernels alone" in out
    smforge("audit", old, "--no-kernels", "-o", f"json={tmp_path / 'regions.json'}")
    code, _, err = smforge("diff", tmp_path / "regions.json", new)
    assert code == 4
    assert "is counted in regions" in err


@pytest.mark.toolchain
def test_the_outputs_go_where_they_are_sent_and_keep_to_the_schema(
    fat_binary: Compile, smforge: Smforge, tmp_path: Path
) -> None:
    old, new = fat_binary("sm_80", "sm_120"), fat_binary("sm_80")
    files = {form: tmp_path / f"diff.{form}" for form in ("json", "markdown")}
    outputs = [word for form, file in files.items() for word in ("-o", f"{form}={file}")]
    assert smforge("diff", old, new, *outputs)[0] == 1
    schema = next(path for path in PUBLISHED if path.name == "diff.schema.json")
    jsonschema.validate(
        json.loads(files["json"].read_text()),
        json.loads(schema.read_text()),
        cls=jsonschema.Draft202012Validator,
    )
    text = files["markdown"].read_text()
    assert "**fail**" in text
    assert "shaped&lt;…&gt;" in text


def test_the_published_schemas_are_those_of_the_models() -> None:
    for path, model in PUBLISHED.items():
        assert path.read_text(encoding="utf-8") == render(model), path.name


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{}", "is not a saved report"),
        ("[]", "is not a saved report"),
        ('{"schema_version": 99}', "is not a saved report"),
        ("{\udcff", "is not a saved report"),
        ('{"a":' * 5000, "is not a saved report"),
    ],
)
def test_what_is_no_report_is_refused_with_the_remedy(
    smforge: Smforge, tmp_path: Path, content: str, told: str
) -> None:
    file = tmp_path / "old.json"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    code, out, err = smforge("diff", file, file)
    assert (code, out) == (2, "")
    assert told in err
    assert "--kernels -o json=" in err
    assert "Traceback" not in err


def test_what_does_not_exist_is_a_usage_error(smforge: Smforge, tmp_path: Path) -> None:
    code, _, err = smforge("diff", tmp_path / "none.whl", tmp_path / "none.whl")
    assert code == 2
    assert "does not exist" in err
