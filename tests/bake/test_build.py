"""Real builds on a real engine: what comes out, what is kept, and what a failure says."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import jsonschema
import pytest

from smforge.bake import record as records
from smforge.bake.cell_paths import REJECTION_NOTE
from smforge.bake.diagnosis import StepFailedError
from smforge.bake.externals import kept_sources
from smforge.bake.record import PreflightRecord
from smforge.errors import LossForeseenError, SmforgeError, ToolError
from smforge.plan.records import Cell, PlannedComponent, PlannedExternal, PlannedImage
from smforge.preflight.cell import CellPreflight
from smforge.workflow import summary
from smforge.workflow.build import Workshop
from smforge.workflow.results import Audited, Auditor, Foreseen, Lookahead

pytestmark = pytest.mark.engine

MakeCell = Callable[..., Cell]
AuditSays = Callable[[str, int], Auditor]


@pytest.fixture(autouse=True)
def _engine_answers(engine: str) -> None:
    """Every test here needs it."""


def test_artefacts_record_and_report_lie_together(workshop: Workshop, cell: MakeCell) -> None:
    # New each time: an engine that outlives the tests has the last run's steps in its cache.
    odd = f"{uuid4()} $x ${{TEXT}} %{{ if }}"
    built = workshop.build(cell("made", TEXT=odd))
    places = built.places
    assert built.error is None
    assert built.exit_code == 0
    assert (places.final / "wheel.txt").is_file()
    record = json.loads((places.final / "record.json").read_text())
    schema = Path(records.__file__).parent / "data" / "record.schema.json"
    jsonschema.validate(record, json.loads(schema.read_text()))
    assert record == json.loads((places.logs / "record.json").read_text())
    assert record["variables"]["TEXT"] == odd
    assert [one["path"] for one in record["artefacts"]] == ["wheel.txt"]
    (target,) = record["targets"]
    assert (target["name"], target["steps"], target["completed_steps"]) == ("made", 3, 3)
    assert json.loads((places.final / "audit.json").read_text()) == {"verdict": "pass"}
    log = (places.out / target["log"]).read_text()
    assert "[work 1/1] compiling" in log
    assert "< done in" in log
    assert not places.staging.exists()


def test_nothing_changed_is_seen_without_the_engine_until_something_changes(
    workshop: Workshop, cell: MakeCell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = cell("made", TEXT=str(uuid4()))
    first = workshop.build(one)
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        again = dataclasses.replace(workshop).build(one)
        assert again.up_to_date
        assert again.record == first.record
        assert dataclasses.replace(workshop).build(one, force=True).exit_code == 5
    (first.places.final / "wheel.txt").write_text("spoilt")
    mended = workshop.build(one)
    assert not mended.up_to_date
    assert mended.record is not None
    assert mended.record.targets[0].cached
    assert workshop.build(one, force=True).up_to_date is False
    assert workshop.build(one).up_to_date


def test_a_failing_step_is_named_with_its_lines_and_its_log(
    workshop: Workshop, cell: MakeCell
) -> None:
    workshop.build(cell("made", TEXT="good"))
    built = workshop.build(cell("broken"))
    assert isinstance(built.error, StepFailedError)
    assert built.exit_code == 5
    assert built.error.target == "broken"
    assert "exit code 7" in built.error.message
    assert built.error.excerpt == ("x.cu(3): error: identifier is undefined",)
    log = built.places.logs / "broken.log"
    assert str(built.error.log) == str(log)
    assert "x.cu(3): error: identifier is undefined" in log.read_text()
    record = json.loads((built.places.logs / "record.json").read_text())
    assert (record["result"], record["exit_code"]) == ("failed", 5)
    # What passed before stays as it was.
    assert (built.places.final / "wheel.txt").read_text() == "good\n"
    assert not built.places.staging.exists()


@pytest.mark.parametrize(
    ("verdict", "exit_code"), [("fail", 1), ("nothing", 3), ("undetermined", 4)]
)
def test_artefacts_that_fail_their_audit_never_reach_their_place(
    workshop: Workshop, cell: MakeCell, audit_says: AuditSays, verdict: str, exit_code: int
) -> None:
    shop = dataclasses.replace(workshop, audit=audit_says(verdict, exit_code))
    built = shop.build(cell("made", TEXT="x"))
    assert built.exit_code == exit_code
    assert not built.places.final.exists()
    assert (built.places.rejected / "wheel.txt").read_text() == "x\n"
    assert verdict in (built.places.rejected / REJECTION_NOTE).read_text()
    assert not shop.build(cell("made", TEXT="x")).up_to_date


@pytest.mark.parametrize(("wheels", "image"), [(0, 0), (0, 1), (1, 0), (4, 1)])
def test_an_image_that_fails_takes_the_wheels_with_it(
    workshop: Workshop, cell: MakeCell, wheels: int, image: int
) -> None:
    def verdict(exit_code: int, about: str) -> Audited:
        report = json.dumps({"about": about})
        return Audited(f"{about}-{exit_code}", exit_code, exit_code, report, lambda *_: about)

    both = dataclasses.replace(verdict(wheels, "wheels"), image=verdict(image, "image"))
    built = dataclasses.replace(workshop, audit=lambda *_: both).build(cell("made", TEXT="x"))
    assert built.exit_code == (wheels or image)
    assert built.record is not None
    assert built.record.audit is not None
    assert built.record.image_audit is not None
    assert built.record.image_audit.report is not None
    place = built.places.rejected if wheels or image else built.places.final
    assert json.loads((place / "audit.json").read_text()) == {"about": "wheels"}
    report = place / built.record.image_audit.report
    assert json.loads(report.read_text()) == {"about": "image"}
    decides = "wheels" if wheels or not image else "image"
    assert summary.verdict(built) == f"{decides}-{wheels or image}"
    if wheels or image:
        assert not built.places.final.exists()
        note = (place / REJECTION_NOTE).read_text()
        assert f"'{decides}-{wheels or image}'" in note


def test_the_audit_sees_what_was_exported(
    workshop: Workshop, cell: MakeCell, audit_says: AuditSays
) -> None:
    seen = []

    def audit(one: Cell, directory: Path, foreseen: Foreseen | None) -> Audited:
        seen.append(sorted(path.name for path in directory.iterdir()))
        return audit_says("pass", 0)(one, directory, foreseen)

    dataclasses.replace(workshop, audit=audit).build(cell("made", TEXT="x"))
    assert seen == [["wheel.txt"]]


def test_a_build_that_exports_nothing_is_no_success(workshop: Workshop, cell: MakeCell) -> None:
    built = workshop.build(cell("root"))
    assert built.exit_code == 5
    assert "exported nothing" in str(built.error)


def test_no_network_in_a_step_is_said_in_one_sentence(workshop: Workshop, cell: MakeCell) -> None:
    built = workshop.build(cell("offline"))
    assert built.exit_code == 5
    assert "the network cannot be reached from inside the build" in str(built.error)
    assert built.error is not None
    assert built.error.remedy is not None


def test_a_definition_that_bake_refuses_leaves_nothing(workshop: Workshop, cell: MakeCell) -> None:
    built = workshop.build(cell("nowhere"))
    assert built.exit_code == 2
    assert "failed to find target nowhere" in str(built.error)
    assert not built.places.staging.exists()


def test_a_platform_that_the_builder_lacks_is_refused_before_the_build(
    workshop: Workshop, cell: MakeCell
) -> None:
    built = workshop.build(dataclasses.replace(cell("made"), platform="linux/s390x"))
    assert built.exit_code == 5
    assert "cannot build linux/s390x" in str(built.error)


def _foreseen(cell: Cell, *, verdict: str = "pass", error: SmforgeError | None = None) -> Foreseen:
    record = PreflightRecord.model_validate(
        {"verdict": verdict, "overridden": verdict == "fail" and error is None}
    )
    reports = {"preflight-vllm.json": json.dumps({"verdict": verdict})}
    return Foreseen(CellPreflight(cell, ()), record, reports, error)


def test_a_foreseen_loss_stops_before_anything_is_built(workshop: Workshop, cell: MakeCell) -> None:
    passed = workshop.build(cell("made", TEXT="good"))

    def foresee(one: Cell) -> Foreseen:
        error = LossForeseenError(["a.cu is lost."], remedy="Allow it.")
        return _foreseen(one, verdict="fail", error=error)

    shop = dataclasses.replace(workshop, foresee=foresee, lookahead=Lookahead.STOP)
    built = shop.build(cell("broken"))
    places = built.places
    assert built.exit_code == 1
    assert built.error is not None
    assert built.error.lines == ("a.cu is lost.", "Allow it.")
    record = json.loads((places.logs / "record.json").read_text())
    schema = Path(records.__file__).parent / "data" / "record.schema.json"
    jsonschema.validate(record, json.loads(schema.read_text()))
    assert (record["result"], record["exit_code"], record["targets"]) == ("stopped", 1, [])
    assert record["preflight"]["verdict"] == "fail"
    assert json.loads((places.logs / "preflight-vllm.json").read_text()) == {"verdict": "fail"}
    # What passed before stays as it was.
    assert (passed.places.final / "wheel.txt").read_text() == "good\n"
    assert not places.staging.exists()


def test_what_was_foreseen_lies_beside_the_artefacts_and_reaches_the_audit(
    workshop: Workshop, cell: MakeCell, audit_says: AuditSays
) -> None:
    seen = []

    def audit(one: Cell, directory: Path, foreseen: Foreseen | None) -> Audited:
        seen.append(foreseen)
        return audit_says("pass", 0)(one, directory, foreseen)

    shop = dataclasses.replace(workshop, audit=audit, foresee=_foreseen, lookahead=Lookahead.RECORD)
    built = shop.build(cell("made", TEXT=str(uuid4())))
    assert built.exit_code == 0
    assert seen[0] is not None
    assert (built.places.final / "preflight-vllm.json").is_file()
    assert built.record is not None
    assert built.record.preflight == seen[0].record
    # It is no artefact, and a build that looks at no sources has none.
    assert [one.path for one in built.record.artefacts] == ["wheel.txt"]
    blind = dataclasses.replace(shop, lookahead=Lookahead.OFF).build(cell("made"), force=True)
    assert seen[1] is None
    assert blind.record is not None
    assert blind.record.preflight is None
    assert not (blind.places.final / "preflight-vllm.json").exists()
    assert not (blind.places.logs / "preflight-vllm.json").exists()


def test_what_was_built_without_looking_ahead_is_looked_at_again(
    workshop: Workshop, cell: MakeCell
) -> None:
    asked = []

    def foresee(one: Cell) -> Foreseen:
        asked.append(one)
        return _foreseen(one, verdict="fail")

    one = cell("made", TEXT="x")
    shops = {
        mode: dataclasses.replace(workshop, foresee=foresee, lookahead=mode) for mode in Lookahead
    }
    assert not shops[Lookahead.OFF].build(one).up_to_date
    assert not shops[Lookahead.RECORD].build(one).up_to_date
    assert len(asked) == 1
    # A loss that was overridden satisfies those who override it, and those who do not look.
    assert shops[Lookahead.RECORD].build(one).up_to_date
    assert shops[Lookahead.OFF].build(one).up_to_date
    assert len(asked) == 1
    assert not shops[Lookahead.STOP].build(one).up_to_date
    assert len(asked) == 2


def test_sources_that_cannot_be_examined_stop_the_build(workshop: Workshop, cell: MakeCell) -> None:
    def foresee(_cell: Cell) -> Foreseen:
        raise ToolError("The package index does not answer.")

    shop = dataclasses.replace(workshop, foresee=foresee, lookahead=Lookahead.STOP)
    built = shop.build(cell("made"))
    assert (built.exit_code, str(built.error)) == (4, "The package index does not answer.")
    assert not built.places.staging.exists()


def test_the_sources_of_other_projects_are_fetched_before_looking_ahead(
    workshop: Workshop, cell: MakeCell, tmp_path: Path
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

    def foresee(_cell: Cell) -> Foreseen:
        assert list(kept_sources((mla,), store)) == ["mla"]
        raise ToolError("Far enough.")

    shop = dataclasses.replace(
        workshop,
        foresee=foresee,
        lookahead=Lookahead.STOP,
        sources_store=store,
        host=dataclasses.replace(workshop.host, sources_mirror=archive.parent),
    )
    assert str(shop.build(one).error) == "Far enough."


def test_an_image_on_a_base_from_a_registry_is_refused_before_the_build(
    workshop: Workshop, cell: MakeCell
) -> None:
    one = cell("made", TEXT=str(uuid4()))
    built = workshop.build(dataclasses.replace(one, image=PlannedImage("a/b", "1", "vllm")))
    assert built.exit_code == 5
    assert "has nothing to start from" in str(built.error)
    assert not built.places.final.exists()
