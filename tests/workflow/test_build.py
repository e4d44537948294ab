"""Real builds on a real engine: what comes out, what is kept, and what a failure says."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import pytest

from smforge.bake import record as records
from smforge.bake.cell_paths import REJECTION_NOTE
from smforge.bake.diagnosis import StepFailedError
from smforge.bake.inputs.externals import kept_sources
from smforge.bake.record import PreflightRecord
from smforge.errors import PredictedLossError, SmforgeError, ToolError
from smforge.plan.records import Cell, PlannedComponent, PlannedExternal, PlannedImage
from smforge.preflight.cell import CellPreflight
from smforge.report.model import Report
from smforge.workflow.building import summary
from smforge.workflow.building.build import Builder
from smforge.workflow.building.results import CellAudit, LookAhead, Predicted

pytestmark = pytest.mark.engine

MakeCell = Callable[..., Cell]
AuditSays = Callable[[str], None]
Changed = Callable[..., Builder]
Predict = Callable[[Cell], Predicted]
Predicts = Callable[[Predict], None]


@pytest.fixture
def predicts(monkeypatch: pytest.MonkeyPatch) -> Predicts:
    """Lets a function take the place of preflight."""

    def take(predict: Predict) -> None:
        monkeypatch.setattr(
            "smforge.workflow.building.look_ahead.predict", lambda _settings, cell: predict(cell)
        )

    return take


@pytest.fixture(autouse=True)
def _engine_answers(engine: str) -> None:
    """Every test here needs it."""


def test_artefacts_record_and_report_lie_together(builder: Builder, cell: MakeCell) -> None:
    # New each time: an engine that outlives the tests has the last run's steps in its cache.
    odd = f"{uuid4()} $x ${{TEXT}} %{{ if }}"
    built = builder.build(cell("made", TEXT=odd))
    paths = built.paths
    assert built.error is None
    assert built.exit_code == 0
    assert (paths.final / "wheel.txt").is_file()
    record = json.loads((paths.final / "record.json").read_text())
    schema = Path(records.__file__).parent / "data" / "record.schema.json"
    jsonschema.validate(record, json.loads(schema.read_text()))
    assert record == json.loads((paths.logs / "record.json").read_text())
    assert record["variables"]["TEXT"] == odd
    assert [one["path"] for one in record["artefacts"]] == ["wheel.txt"]
    (target,) = record["targets"]
    assert (target["name"], target["steps"], target["completed_steps"]) == ("made", 3, 3)
    audit = (paths.final / "audit.json").read_bytes()
    assert json.loads(audit)["verdict"] == "pass"
    assert record["audit"]["report_sha256"] == hashlib.sha256(audit).hexdigest()
    log = (paths.out / target["log"]).read_text()
    assert "[work 1/1] compiling" in log
    assert "< done in" in log
    assert not paths.staging.exists()


def test_nothing_changed_is_seen_without_the_engine_until_something_changes(
    builder: Builder, cell: MakeCell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = cell("made", TEXT=str(uuid4()))
    first = builder.build(one)
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        again = Builder(builder.settings).build(one)
        assert again.up_to_date
        assert again.record == first.record
        assert Builder(builder.settings).build(one, force=True).exit_code == 5
    (first.paths.final / "wheel.txt").write_text("spoilt")
    mended = builder.build(one)
    assert not mended.up_to_date
    assert mended.record is not None
    assert mended.record.targets[0].cached
    assert builder.build(one, force=True).up_to_date is False
    assert builder.build(one).up_to_date


def test_a_failing_step_is_named_with_its_lines_and_its_log(
    builder: Builder, cell: MakeCell
) -> None:
    builder.build(cell("made", TEXT="good"))
    built = builder.build(cell("broken"))
    assert isinstance(built.error, StepFailedError)
    assert built.exit_code == 5
    assert built.error.target == "broken"
    assert "exit code 7" in built.error.message
    assert built.error.excerpt == ("x.cu(3): error: identifier is undefined",)
    log = built.paths.logs / "broken.log"
    assert str(built.error.log) == str(log)
    assert "x.cu(3): error: identifier is undefined" in log.read_text()
    record = json.loads((built.paths.logs / "record.json").read_text())
    assert (record["result"], record["exit_code"]) == ("failed", 5)
    # What passed before stays as it was.
    assert (built.paths.final / "wheel.txt").read_text() == "good\n"
    assert not built.paths.staging.exists()


@pytest.mark.parametrize(
    ("verdict", "exit_code"), [("fail", 1), ("nothing", 3), ("undetermined", 4)]
)
def test_artefacts_that_fail_their_audit_never_reach_their_place(
    builder: Builder, cell: MakeCell, audit_says: AuditSays, verdict: str, exit_code: int
) -> None:
    audit_says(verdict)
    built = builder.build(cell("made", TEXT="x"))
    assert built.exit_code == exit_code
    assert not built.paths.final.exists()
    assert (built.paths.rejected / "wheel.txt").read_text() == "x\n"
    assert verdict in (built.paths.rejected / REJECTION_NOTE).read_text()
    assert not builder.build(cell("made", TEXT="x")).up_to_date


VERDICTS = {0: "pass", 1: "fail", 3: "nothing", 4: "undetermined"}


@pytest.mark.parametrize(("wheels", "image"), [(0, 0), (0, 1), (1, 0), (4, 1)])
def test_an_image_that_fails_takes_the_wheels_with_it(  # noqa: PLR0917 - fixtures
    builder: Builder,
    cell: MakeCell,
    a_report: Callable[[str, str], Report],
    monkeypatch: pytest.MonkeyPatch,
    wheels: int,
    image: int,
) -> None:
    both = CellAudit(a_report("wheels", VERDICTS[wheels]), a_report("image", VERDICTS[image]))
    monkeypatch.setattr("smforge.workflow.building.auditing.audit_cell", lambda *_: both)
    built = builder.build(cell("made", TEXT="x"))
    assert built.exit_code == (wheels or image)
    assert built.record is not None
    assert built.record.audit is not None
    assert built.record.image_audit is not None
    assert built.record.image_audit.report is not None
    place = built.paths.rejected if wheels or image else built.paths.final
    assert json.loads((place / "audit.json").read_text())["subject"]["name"] == "wheels"
    report = place / built.record.image_audit.report
    assert json.loads(report.read_text())["subject"]["name"] == "image"
    decides = wheels or image
    assert summary.verdict(built) == VERDICTS[decides]
    if wheels or image:
        assert not built.paths.final.exists()
        note = (place / REJECTION_NOTE).read_text()
        assert f"'{VERDICTS[decides]}'" in note
        assert ("wheels" if wheels else "image") in note.partition("record.json.")[2]


def test_a_record_that_contradicts_its_audit_is_no_reason_to_build_nothing(
    builder: Builder, cell: MakeCell
) -> None:
    one = cell("made", TEXT=str(uuid4()))
    record = builder.build(one).paths.final / "record.json"
    assert builder.build(one).up_to_date
    document = json.loads(record.read_text())
    document["audit"] |= {"verdict": "fail", "exit_code": 1}
    record.write_text(json.dumps(document))
    assert not builder.build(one).up_to_date


def test_the_audit_sees_what_was_exported(
    builder: Builder, cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def audit_cell(*arguments: Any) -> CellAudit:
        seen.append(sorted(path.name for path in arguments[2].iterdir()))
        raise ToolError("It is not audited.")

    monkeypatch.setattr("smforge.workflow.building.auditing.audit_cell", audit_cell)
    builder.build(cell("made", TEXT="x"))
    assert seen == [["wheel.txt"]]


def test_a_build_that_exports_nothing_is_no_success(builder: Builder, cell: MakeCell) -> None:
    built = builder.build(cell("root"))
    assert built.exit_code == 5
    assert "exported nothing" in str(built.error)


def test_no_network_in_a_step_is_said_in_one_sentence(builder: Builder, cell: MakeCell) -> None:
    built = builder.build(cell("offline"))
    assert built.exit_code == 5
    assert "the network cannot be reached from inside the build" in str(built.error)
    assert built.error is not None
    assert built.error.remedy is not None


def test_a_definition_that_bake_refuses_leaves_nothing(builder: Builder, cell: MakeCell) -> None:
    built = builder.build(cell("nowhere"))
    assert built.exit_code == 2
    assert "failed to find target nowhere" in str(built.error)
    assert not built.paths.staging.exists()


def test_a_platform_that_the_builder_lacks_is_refused_before_the_build(
    builder: Builder, cell: MakeCell
) -> None:
    built = builder.build(dataclasses.replace(cell("made"), platform="linux/s390x"))
    assert built.exit_code == 5
    assert "cannot build linux/s390x" in str(built.error)


def _predicted(
    cell: Cell, *, verdict: str = "pass", error: SmforgeError | None = None
) -> Predicted:
    component = {
        "component": "vllm",
        "verdict": verdict,
        "findings": 0,
        "source_sha256": "0" * 64,
        "report": "preflight-vllm.json",
        "report_sha256": "0" * 64,
    }
    record = PreflightRecord.model_validate(
        {
            "verdict": verdict,
            "overridden": verdict == "fail" and error is None,
            "components": [component],
        }
    )
    reports = {"preflight-vllm.json": json.dumps({"verdict": verdict})}
    return Predicted(CellPreflight(cell, ()), record, reports, error)


def test_a_predicted_loss_stops_before_anything_is_built(
    builder: Builder, changed: Changed, cell: MakeCell, predicts: Predicts
) -> None:
    passed = builder.build(cell("made", TEXT="good"))

    def predict(one: Cell) -> Predicted:
        error = PredictedLossError(["a.cu is lost."], remedy="Allow it.")
        return _predicted(one, verdict="fail", error=error)

    predicts(predict)
    built = changed(look_ahead=LookAhead.STOP).build(cell("broken"))
    paths = built.paths
    assert built.exit_code == 1
    assert built.error is not None
    assert built.error.lines == ("a.cu is lost.", "Allow it.")
    record = json.loads((paths.logs / "record.json").read_text())
    schema = Path(records.__file__).parent / "data" / "record.schema.json"
    jsonschema.validate(record, json.loads(schema.read_text()))
    assert (record["result"], record["exit_code"], record["targets"]) == ("stopped", 1, [])
    assert record["preflight"]["verdict"] == "fail"
    assert json.loads((paths.logs / "preflight-vllm.json").read_text()) == {"verdict": "fail"}
    # What passed before stays as it was.
    assert (passed.paths.final / "wheel.txt").read_text() == "good\n"
    assert not paths.staging.exists()


def test_what_was_predicted_lies_beside_the_artefacts_and_reaches_the_audit(
    changed: Changed,
    cell: MakeCell,
    predicts: Predicts,
    a_report: Callable[[str, str], Report],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Predicted | None] = []

    def audit_cell(*arguments: Any) -> CellAudit:
        seen.append(arguments[3])
        return CellAudit(a_report("wheels", "pass"))

    predicts(_predicted)
    monkeypatch.setattr("smforge.workflow.building.auditing.audit_cell", audit_cell)
    built = changed(look_ahead=LookAhead.RECORD).build(cell("made", TEXT=str(uuid4())))
    assert built.exit_code == 0
    assert seen[0] is not None
    assert (built.paths.final / "preflight-vllm.json").is_file()
    assert built.record is not None
    assert built.record.preflight == seen[0].record
    # It is no artefact, and a build that looks at no sources has none.
    assert [one.path for one in built.record.artefacts] == ["wheel.txt"]
    blind = changed(look_ahead=LookAhead.OFF).build(cell("made"), force=True)
    assert seen[1] is None
    assert blind.record is not None
    assert blind.record.preflight is None
    assert not (blind.paths.final / "preflight-vllm.json").exists()
    assert not (blind.paths.logs / "preflight-vllm.json").exists()


def test_what_was_built_without_looking_ahead_is_looked_at_again(
    changed: Changed, cell: MakeCell, predicts: Predicts
) -> None:
    asked = []

    def predict(one: Cell) -> Predicted:
        asked.append(one)
        return _predicted(one, verdict="fail")

    one = cell("made", TEXT="x")
    predicts(predict)
    builders = {mode: changed(look_ahead=mode) for mode in LookAhead}
    assert not builders[LookAhead.OFF].build(one).up_to_date
    assert not builders[LookAhead.RECORD].build(one).up_to_date
    assert len(asked) == 1
    # A loss that was overridden satisfies those who override it, and those who do not look.
    assert builders[LookAhead.RECORD].build(one).up_to_date
    assert builders[LookAhead.OFF].build(one).up_to_date
    assert len(asked) == 1
    assert not builders[LookAhead.STOP].build(one).up_to_date
    assert len(asked) == 2


def test_sources_that_cannot_be_examined_stop_the_build(
    changed: Changed, cell: MakeCell, predicts: Predicts
) -> None:
    def predict(_cell: Cell) -> Predicted:
        raise ToolError("The package index does not answer.")

    predicts(predict)
    built = changed(look_ahead=LookAhead.STOP).build(cell("made"))
    assert (built.exit_code, str(built.error)) == (4, "The package index does not answer.")
    assert not built.paths.staging.exists()


def test_the_sources_of_other_projects_are_fetched_before_looking_ahead(
    builder: Builder, changed: Changed, cell: MakeCell, predicts: Predicts, tmp_path: Path
) -> None:
    (tmp_path / "mirror").mkdir()
    archive = tmp_path / "mirror" / "mla.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("mla/csrc/mla.cu", "")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    url = "https://example.invalid/mla.zip"
    mla = PlannedExternal("mla", "archive", url, digest, None, None, None, None)
    one = dataclasses.replace(
        cell("made", TEXT=str(uuid4())),
        components=(PlannedComponent("vllm", "1", (), (), (), {}, (mla,)),),
    )
    store = tmp_path / "store"

    def predict(_cell: Cell) -> Predicted:
        assert list(kept_sources((mla,), store)) == ["mla"]
        raise ToolError("Far enough.")

    predicts(predict)
    host = dataclasses.replace(builder.settings.host, sources_mirror=archive.parent)
    with_store = changed(look_ahead=LookAhead.STOP, sources_store=store, host=host)
    assert str(with_store.build(one).error) == "Far enough."


SOURCES = """
FROM scratch AS sources
COPY --from=externals . /sources
"""
SOURCES_TARGET = """
variable "EXTERNALS_DIR" { default = "" }
target "sources" {
  inherits = ["_common"]
  target   = "sources"
  contexts = { externals = EXTERNALS_DIR }
  output   = ["type=local,dest=${OUT_DIR}"]
}
"""


def test_sources_from_files_of_the_project_reach_the_build_as_it_expects_them(
    builder: Builder, changed: Changed, cell: MakeCell, tmp_path: Path
) -> None:
    project = builder.settings.root
    with (project / "docker" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write(SOURCES)
    with (project / "docker-bake.hcl").open("a") as bake_file:
        bake_file.write(SOURCES_TARGET)
    for name, member in (("mla.zip", "lib/third_party/mla/mla.cu"), ("jit.zip", "jit-1/launch.h")):
        with zipfile.ZipFile(project / name, "w") as content:
            content.writestr(member, member)

    def planned(name: str, file: str, **more: Any) -> PlannedExternal:
        digest = hashlib.sha256((project / file).read_bytes()).hexdigest()
        return PlannedExternal(name, "archive", file, digest, None, None, None, None, **more)

    jit = planned("third-party/jit", "jit.zip")
    mla = planned("mla", "mla.zip", layout=(("csrc", "lib/third_party/mla"),), nested=(jit,))
    one = dataclasses.replace(
        cell("sources"), components=(PlannedComponent("vllm", "1", (), (), (), {}, (mla,)),)
    )
    built = changed(sources_store=tmp_path / "store").build(one)
    assert built.error is None
    sources = built.paths.final / "sources" / "mla-src"
    found = {str(file.relative_to(sources)) for file in sources.rglob("*") if file.is_file()}
    assert found == {"csrc/mla.cu", "third-party/jit/launch.h"}
    record = json.loads((built.paths.final / "record.json").read_text())
    (external,) = record["plan"]["components"][0]["externals"]
    assert (external["pin"], external["nested"][0]["pin"]) == (mla.pin, jit.pin)


def test_an_image_on_a_base_from_a_registry_is_refused_before_the_build(
    builder: Builder, cell: MakeCell
) -> None:
    one = cell("made", TEXT=str(uuid4()))
    built = builder.build(dataclasses.replace(one, image=PlannedImage("a/b", "1", "vllm")))
    assert built.exit_code == 5
    assert "has nothing to start from" in str(built.error)
    assert not built.paths.final.exists()


def test_wheels_alone_do_not_replace_a_whole_result(builder: Builder, cell: MakeCell) -> None:
    whole = cell("made")
    built = builder.build(whole)
    assert built.exit_code == 0
    part = dataclasses.replace(whole, components=(), part=True)
    refused = builder.build(part, force=True)
    assert refused.exit_code == 5
    assert f"holds {whole.components[0].name}" in str(refused.error)
    assert "--out" in str(refused.error)
    assert builder.build(whole).up_to_date
