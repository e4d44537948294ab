"""From an inventory and terms to findings and an outcome."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from smforge.arch.devices import current_devices
from smforge.arch.drivers import DriverVersion
from smforge.arch.requirement import parse_requirements
from smforge.arch.target import ComputeCapability, Suffix, Target
from smforge.findings import Level, Member, Outcome
from smforge.inventory.cuobjdump.agreement import Comparison, Difference
from smforge.inventory.jit_tools.records import HostFiles, LibraryUser
from smforge.inventory.records import Damage, FileInventory, Inventory, Kind, Origin, SubjectKind
from smforge.inventory.rewrite_manifest import SlimmedCopy
from smforge.policy.excuses import Excuse
from smforge.verdict.judge import judge
from smforge.verdict.reading import Backend, Reading
from smforge.verdict.records import DeviceOutcome, Verdict
from smforge.verdict.request import AuditRequest

MakeFile = Callable[..., FileInventory]
MakeInventory = Callable[..., Inventory]
DAY = date(2026, 11, 21)


def terms(*words: str, **others: object) -> AuditRequest:
    return AuditRequest(parse_requirements(words), today=DAY, **others)  # type: ignore[arg-type]


def rules(verdict: Verdict, level: Level | None = None) -> list[str]:
    return [one.rule for one in verdict.findings if level is None or one.level is level]


@pytest.fixture
def mixed(make_file: MakeFile, make_inventory: MakeInventory) -> Inventory:
    """A library that runs on 12.1, one in part, one from PTX, and one made for 9.0."""
    return make_inventory(
        make_file("good.so", (("sm_120f", ("a", "b")),)),
        make_file("part.so", (("sm_80", ("a", "b", "c")), ("sm_120", ("a",)))),
        make_file("ptx.so", (("sm_90", ("a",)), ("compute_90", ("a",)))),
        make_file("hopper.so", (("sm_90a", ("a",)),)),
    )


def test_each_library_is_held_against_each_device(mixed: Inventory) -> None:
    verdict = judge(Reading(mixed), terms("12.1"))
    found = {(one.rule, one.file, one.level) for one in verdict.findings}
    assert found == {
        ("kernels-missing", "part.so", Level.ERROR),
        ("device-ptx-only", "ptx.so", Level.WARNING),
        ("device-foreign", "hopper.so", Level.NOTE),
    }
    assert verdict.outcome is Outcome.FAIL
    (device,) = verdict.devices
    assert device.outcome is DeviceOutcome.PARTIAL
    tally = device.tally
    assert (tally.native, tally.ptx, tally.foreign, tally.missing) == (3, 1, 1, 2)


def test_a_finding_names_what_is_missing(mixed: Inventory) -> None:
    (finding,) = [
        one for one in judge(Reading(mixed), terms("12.1")).findings if one.file == "part.so"
    ]
    assert "2 of 3 kernels cannot run on 12.1" in finding.message
    assert "sm_80, sm_120" in finding.message
    assert finding.remedy
    assert [(one.name, one.count) for one in finding.families] == [("b", 1), ("c", 1)]


def test_native_turns_ptx_into_an_error(mixed: Inventory) -> None:
    verdict = judge(Reading(mixed), terms("12.1", native_only=True))
    assert ("device-ptx-only", Level.ERROR) in {(one.rule, one.level) for one in verdict.findings}


def test_nothing_for_a_device(make_file: MakeFile, make_inventory: MakeInventory) -> None:
    inventory = make_inventory(make_file("a.so", (("sm_90", ("k",)),)))
    verdict = judge(Reading(inventory), terms("12.1"))
    assert rules(verdict, Level.ERROR) == ["device-missing", "device-missing"]
    assert verdict.devices[0].outcome is DeviceOutcome.NONE


def test_a_subject_made_for_other_devices_does_not_pass(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    inventory = make_inventory(make_file("a.so", (("sm_120f", ("k",)),)))
    verdict = judge(Reading(inventory), terms("11.0"))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.devices[0].outcome is DeviceOutcome.NONE
    assert {(one.rule, one.file) for one in verdict.findings} == {
        ("device-missing", None),
        ("device-foreign", "a.so"),
    }


def test_without_requirements_nothing_fails(mixed: Inventory) -> None:
    verdict = judge(Reading(mixed), terms())
    assert verdict.outcome is Outcome.PASS
    assert tuple(one.device for one in verdict.devices) == current_devices()
    assert rules(verdict) == []


def test_no_gpu_code_is_no_pass(make_inventory: MakeInventory) -> None:
    assert judge(Reading(make_inventory()), terms()).outcome is Outcome.NOTHING
    assert judge(Reading(make_inventory()), terms("12.1")).outcome is Outcome.NOTHING


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("12.0f", Outcome.PASS),
        ("sm_120f", Outcome.PASS),
        ("12.1", Outcome.PASS),
        ("12.1a", Outcome.FAIL),
        ("sm_120", Outcome.FAIL),
        ("compute_80", Outcome.PASS),
        ("sm_80", Outcome.FAIL),
        ("sm_75", Outcome.FAIL),
    ],
)
def test_required_targets(
    make_file: MakeFile, make_inventory: MakeInventory, words: str, outcome: Outcome
) -> None:
    inventory = make_inventory(
        make_file("a.so", (("sm_120f", ("k",)), ("sm_75", ()))),
        make_file("b.so", (("sm_120f", ("k",)), ("compute_80", ("k",)))),
    )
    verdict = judge(Reading(inventory), terms(words))
    assert verdict.outcome is outcome
    missing = [one for one in verdict.findings if one.rule == "target-missing"]
    assert bool(missing) is (outcome is Outcome.FAIL)


def test_libraries_without_a_required_target_are_named(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    inventory = make_inventory(
        make_file("a.so", (("sm_120f", ("k",)),)), make_file("b.so", (("sm_90a", ("k",)),))
    )
    verdict = judge(Reading(inventory), terms("12.0f"))
    assert [(one.rule, one.level, one.file) for one in verdict.findings] == [
        ("target-absent", Level.NOTE, "b.so")
    ]
    absent = [one for one in judge(Reading(inventory), terms("12.1a")).findings if one.file]
    assert {one.file for one in absent} == {"a.so", "b.so"}


def test_a_driver_too_old_for_the_ptx(make_file: MakeFile, make_inventory: MakeInventory) -> None:
    inventory = make_inventory(make_file("a.so", (("compute_90", ("k",)),), (("sm_120", ("j",)),)))
    verdict = judge(Reading(inventory), terms("12.0", driver=DriverVersion.parse("570.195.03")))
    (finding,) = [one for one in verdict.findings if one.rule == "ptx-newer-than-driver"]
    assert finding.file == "a.so"
    assert "580.65.06" in finding.message
    assert "580.65.06" in (finding.remedy or "")
    assert verdict.devices[0].tally.missing == 1
    assert judge(
        Reading(inventory), terms("12.0", driver=DriverVersion.parse("580.65.06"))
    ).outcome is (Outcome.PASS)


def test_what_only_a_newer_driver_can_run_is_told_so(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    # The PTX for 12.0a is old enough, and no driver makes code for 12.1 of it.
    code = (("compute_90@9.0", ("k",)), ("compute_120a@8.7", ("k",)))
    verdict = judge(
        Reading(make_inventory(make_file("a.so", code))),
        terms("12.1", driver=DriverVersion.parse("570.195.03")),
    )
    told = {one.rule: one for one in verdict.findings}
    assert "with driver 570.195.03" in told["device-missing"].message
    assert "580.65.06" in (told["ptx-newer-than-driver"].remedy or "")


def built(make_file: MakeFile, path: str, toolkit: str) -> FileInventory:
    """A library for 9.0 that a CUDA release made."""
    file = make_file(path, (("sm_90", ("k",)),))
    (region,) = file.regions
    (code,) = region.objects
    return file._replace(regions=(region._replace(objects=(code._replace(toolkit=toolkit),)),))


class TestDriverOfMachineCode:
    OLD, NEW = DriverVersion.parse("570.195.03"), DriverVersion.parse("580.65.06")

    @pytest.fixture
    def native(self, make_file: MakeFile, make_inventory: MakeInventory) -> Inventory:
        """Made by CUDA 13.0 throughout."""
        cubins = [make_file(f"{i}.cubin", (("sm_90", ("k",)),), origin=Origin.RAW) for i in "ab"]
        return make_inventory(make_file("a.so", (("sm_90", ("k",)),)), *cubins)

    def test_one_of_the_major_before_does_not_run_it(self, native: Inventory) -> None:
        verdict = judge(Reading(native), terms("9.0", driver=self.OLD))
        assert verdict.outcome is Outcome.FAIL
        single, loose = verdict.findings
        assert (single.rule, single.file) == ("driver-too-old", "a.so")
        assert "CUDA 13.0" in single.message
        assert "580.65.06" in (single.remedy or "")
        assert (loose.rule, loose.file) == ("driver-too-old", None)
        assert "2 files" in loose.message

    def test_any_of_the_major_runs_it(self, native: Inventory) -> None:
        assert rules(judge(Reading(native), terms("9.0", driver=self.NEW))) == []

    @pytest.mark.parametrize("beside", ["11.8", "12.8"])
    def test_one_of_several_builds_is_a_warning(
        self, make_file: MakeFile, make_inventory: MakeInventory, beside: str
    ) -> None:
        builds = (
            built(make_file, "bnb/lib_cuda118.so", beside),
            built(make_file, "bnb/lib_cuda130.so", "13.0"),
        )
        verdict = judge(Reading(make_inventory(*builds)), terms("9.0", driver=self.OLD))
        assert [(one.rule, one.level, one.file) for one in verdict.findings] == [
            ("driver-too-old", Level.WARNING, "bnb/lib_cuda130.so")
        ]
        assert verdict.outcome is Outcome.PASS
        other = make_inventory(builds[0], built(make_file, "other.so", "13.0"))
        assert judge(Reading(other), terms("9.0", driver=self.OLD)).outcome is Outcome.FAIL

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("py311/x/_C.so", "py312/x/_C.so"),
            ("stage1.so", "stage2.so"),
            ("lib_cuda128_v1.so", "lib_cuda128_v2.so"),
            ("lib_cuda118.so", "lib_cuda128.so"),
            ("cu12/a.so", "cu13/b.so"),
        ],
    )
    def test_other_numbers_are_no_builds(
        self, make_file: MakeFile, make_inventory: MakeInventory, first: str, second: str
    ) -> None:
        """A second environment, a second stage: both are loaded, and one fails."""
        builds = built(make_file, first, "12.8"), built(make_file, second, "13.0")
        verdict = judge(Reading(make_inventory(*builds)), terms("9.0", driver=self.OLD))
        assert verdict.outcome is Outcome.FAIL
        assert [one.file for one in verdict.findings if one.level is Level.ERROR] == [second]

    def test_a_needed_library_of_a_newer_major(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        file = built(make_file, "a.so", "12.9")._replace(needed=("libcudart.so.13",))
        verdict = judge(Reading(make_inventory(file)), terms("9.0", driver=self.OLD))
        (finding,) = [one for one in verdict.findings if one.rule == "driver-too-old"]
        assert (finding.level, finding.file, finding.device) == (Level.ERROR, "a.so", None)
        assert "needs libcudart.so.13 of CUDA 13" in finding.message
        assert rules(judge(Reading(make_inventory(file)), terms("9.0", driver=self.NEW))) == []
        compiler = file._replace(needed=("libnvrtc.so.13",))
        assert (
            judge(Reading(make_inventory(compiler)), terms("9.0", driver=self.OLD)).outcome
            is Outcome.PASS
        )

    def test_a_library_without_gpu_code_that_needs_one(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        host = HostFiles(users=(LibraryUser("host.so", ("libcublas.so.13",)),))
        reading = Reading(make_inventory(built(make_file, "a.so", "12.9")), host_files=host)
        verdict = judge(reading, terms("9.0", driver=self.OLD))
        assert [(one.rule, one.file) for one in verdict.findings] == [("driver-too-old", "host.so")]

    def test_code_that_the_device_does_not_run_asks_for_no_driver(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        code = (("sm_80", ("k",)), ("compute_80@8.0", ("k",)))
        verdict = judge(
            Reading(make_inventory(make_file("a.so", code))), terms("9.0", driver=self.OLD)
        )
        assert rules(verdict) == ["device-ptx-only"]

    @pytest.mark.parametrize(
        ("kernels", "backend", "outcome"),
        [
            (None, "native", Outcome.UNDETERMINED),
            (("k",), "cuobjdump", Outcome.UNDETERMINED),
            (("k",), "native", Outcome.PASS),
        ],
    )
    def test_code_of_an_unknown_release(
        self,
        native: Inventory,
        kernels: tuple[str, ...] | None,
        backend: str,
        outcome: Outcome,
    ) -> None:
        file = native.files[0]
        (region,) = file.regions
        (code,) = region.objects
        region = region._replace(objects=(code._replace(toolkit=None, kernels=kernels),))
        unknown = native._replace(files=(file._replace(regions=(region,)),))
        verdict = judge(Reading(unknown, Backend(backend)), terms("9.0", driver=self.OLD))
        assert verdict.outcome is outcome
        assert "driver-unchecked" in rules(verdict)
        known = judge(Reading(unknown, Backend(backend)), terms("9.0", driver=self.NEW))
        assert "driver-unchecked" not in rules(known)


@pytest.mark.parametrize(
    ("device", "code", "told"),
    [
        ("12.1", "sm_120a", ["device-sibling"]),
        ("12.1", "compute_120a", ["device-sibling"]),
        ("12.0", "sm_121f", ["device-sibling"]),
        ("10.0", "sm_103a", ["device-sibling"]),
        ("12.0", "sm_100f", ["device-foreign"]),
        ("12.1", "sm_120f", []),
    ],
)
def test_code_for_relatives_is_told_from_code_for_others(
    make_file: MakeFile, make_inventory: MakeInventory, device: str, code: str, told: list[str]
) -> None:
    runs = (f"sm_{device.replace('.', '')}", ("j",))
    inventory = make_inventory(make_file("a.so", ((code, ("k",)),)), make_file("b.so", (runs,)))
    verdict = judge(Reading(inventory), terms(device))
    assert rules(verdict) == told
    assert verdict.outcome is Outcome.PASS


def test_a_few_kernels_for_relatives_are_told_beside_many_that_run(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    units = [(("sm_120f", (f"k{i}",)),) for i in range(9)]
    inventory = make_inventory(make_file("a.so", *units, (("sm_120a", ("fp4",)),)))
    (finding,) = judge(Reading(inventory), terms("12.1")).findings
    assert (finding.rule, finding.level) == ("device-sibling", Level.WARNING)
    assert "1 of 10 kernels" in finding.message
    assert "sm_120a" in finding.message
    assert [family.name for family in finding.families] == ["fp4"]


@pytest.mark.parametrize(
    ("kind", "machines", "level"),
    [
        (SubjectKind.WHEEL, ("aarch64",), Level.ERROR),
        (SubjectKind.WHEEL, ("aarch64", "x86_64"), Level.ERROR),
        (SubjectKind.IMAGE, ("aarch64", "aarch64"), Level.ERROR),
        (SubjectKind.IMAGE, ("aarch64", "x86_64"), Level.WARNING),
        (SubjectKind.IMAGE, ("x86_64", None), None),
    ],
)
def test_libraries_for_another_cpu(
    make_file: MakeFile,
    make_inventory: MakeInventory,
    kind: SubjectKind,
    machines: tuple[str | None, ...],
    level: Level | None,
) -> None:
    files = [
        make_file(f"{i}.so", (("sm_120f", ("k",)),))._replace(machine=machine)
        for i, machine in enumerate(machines)
    ]
    inventory = make_inventory(*files)
    subject = inventory.subject._replace(kind=kind, platform="linux/amd64")
    inventory = inventory._replace(subject=subject)
    verdict = judge(Reading(inventory), terms("12.1"))
    found = [one for one in verdict.findings if one.rule == "machine-mismatch"]
    assert {one.level for one in found} == ({level} if level else set())
    assert verdict.outcome is (Outcome.FAIL if level is Level.ERROR else Outcome.PASS)
    anywhere = inventory._replace(subject=inventory.subject._replace(platform=None))
    assert "machine-mismatch" not in rules(judge(Reading(anywhere), terms("12.1")))


@pytest.mark.parametrize(
    ("platform", "device", "noted"),
    [
        ("linux/amd64", "12.1", True),
        ("linux/amd64", "11.0", True),
        ("linux/amd64", "12.0", False),
        ("linux/arm64", "12.1", False),
        (None, "12.1", False),
    ],
)
def test_a_device_that_is_in_machines_with_another_cpu_is_noted(
    make_file: MakeFile,
    make_inventory: MakeInventory,
    platform: str | None,
    device: str,
    noted: bool,
) -> None:
    inventory = make_inventory(make_file("a.so", (("compute_80@8.0", ("k",)),)))
    inventory = inventory._replace(subject=inventory.subject._replace(platform=platform))
    verdict = judge(Reading(inventory), terms(device))
    assert ("host-differs" in rules(verdict, Level.NOTE)) is noted


def test_a_library_of_a_wheel_in_a_folder_is_for_the_cpu_of_its_wheel(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    wheel = "q-1-py3-none-manylinux_2_28_{}.whl/q/_C.so"
    files = [
        make_file(wheel.format(cpu), (("sm_120f", ("k",)),))._replace(machine=machine)
        for cpu, machine in (("x86_64", "x86_64"), ("aarch64", "x86_64"))
    ]
    inventory = make_inventory(*files)
    tree = inventory.subject._replace(kind=SubjectKind.TREE, platform=None)
    verdict = judge(Reading(inventory._replace(subject=tree)), terms("12.1"))
    (finding,) = (one for one in verdict.findings if one.rule == "machine-mismatch")
    assert (finding.file, finding.level) == (wheel.format("aarch64"), Level.ERROR)
    assert "q-1-py3-none-manylinux_2_28_aarch64.whl for aarch64" in finding.message


def test_a_library_that_was_not_linked_for_the_device_fails_whatever_it_embeds(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    units = ("a.cu", "b.cu", "c.cu", "d.cu")
    file = make_file("a.so", (("sm_120f", ("k",)),))._replace(unlinked=units)
    verdict = judge(Reading(make_inventory(file)), terms("12.1"))
    assert verdict.outcome is Outcome.FAIL
    (finding,) = verdict.findings
    assert (finding.rule, finding.file) == ("device-link-missing", "a.so")
    assert "a.cu, b.cu, c.cu and 1 more" in finding.message


def test_a_driver_that_nobody_knows_leaves_it_open(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    inventory = make_inventory(make_file("a.so", (("compute_90@99.1", ("k",)),)))
    verdict = judge(Reading(inventory), terms("12.0", driver=DriverVersion.parse("580.65.06")))
    assert verdict.outcome is not Outcome.PASS


class TestExceptions:
    def test_an_excused_kernel_does_not_fail_and_is_shown(self, mixed: Inventory) -> None:
        excuse = Excuse("b and c are for Ampere", "p.toml", kernel="[bc]", file="part.so")
        verdict = judge(Reading(mixed), terms("12.1", excuses=(excuse,)))
        assert verdict.outcome is Outcome.PASS
        (use,) = verdict.excuses
        assert (use.kernels, use.devices) == (2, (ComputeCapability(12, 1),))
        tally = verdict.devices[0].tally
        assert (tally.missing, tally.excused) == (2, 2)
        assert verdict.devices[0].outcome is DeviceOutcome.PTX

    def test_an_exception_excuses_no_more_than_it_names(self, mixed: Inventory) -> None:
        excuse = Excuse("b is for Ampere", "p.toml", kernel="b", file="part.so")
        verdict = judge(Reading(mixed), terms("12.1", excuses=(excuse,)))
        (finding,) = [one for one in verdict.findings if one.rule == "kernels-missing"]
        assert [one.name for one in finding.families] == ["c"]

    def test_a_namesake_embedded_for_more_is_not_excused(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        turing, wider = (("sm_75", ("k",)),), (("sm_75", ("k",)), ("sm_80", ("k",)))
        good = (("sm_120", ("other",)),)
        excuse = Excuse("made for Turing", "p", kernel="k", targets=(Target.parse("7.5"),))
        verdict = judge(
            Reading(make_inventory(make_file("a.so", turing, wider, good))),
            terms("12.0", excuses=(excuse,)),
        )
        (finding,) = [one for one in verdict.findings if one.rule == "kernels-missing"]
        assert [(one.name, one.count) for one in finding.families] == [("k", 1)]
        tally = verdict.devices[0].tally
        assert (tally.missing, tally.excused) == (2, 1)

    def test_unused_and_expired_ones_are_told(self, mixed: Inventory) -> None:
        unused = Excuse("nothing of that name", "p.toml", kernel="zzz")
        expired = Excuse("until last year", "p.toml", file="part.so", expires=date(2025, 1, 1))
        shipped = Excuse("for another library", "vllm", kernel="yyy", shipped=True)
        verdict = judge(Reading(mixed), terms("12.1", excuses=(unused, expired, shipped)))
        told = {one.rule: one for one in verdict.findings if one.rule.startswith("exception")}
        assert "'zzz'" in told["exception-unused"].message
        assert "2025-01-01" in told["exception-expired"].message
        assert verdict.outcome is Outcome.FAIL
        assert len([one for one in verdict.findings if one.rule == "exception-unused"]) == 1

    def test_excusing_everything_does_not_make_a_device_covered(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        inventory = make_inventory(make_file("a.so", (("sm_90", ("k",)),)))
        excuse = Excuse("all of it", "--allow", anything="*")
        verdict = judge(Reading(inventory), terms("12.1", excuses=(excuse,)))
        assert verdict.devices[0].outcome is DeviceOutcome.NONE
        assert verdict.outcome is Outcome.FAIL


class TestDoubt:
    def test_what_is_not_known_of_one_device_leaves_another_one_certain(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        """Which code 9.0 gets is not known, and 8.6 gets none for certain."""
        inventory = make_inventory(make_file("a.so", (("sm_90", ("k",)), ("sm_90a", ()))))
        assert judge(Reading(inventory), terms("9.0")).outcome is Outcome.UNDETERMINED
        assert judge(Reading(inventory), terms("9.0 8.6")).outcome is Outcome.FAIL

    def test_damage_alone_leaves_it_open(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        hole = Damage("a.so", "The region ends before its size.", 512)
        inventory = make_inventory(make_file("a.so", (("sm_120", ("k",)),), damage=(hole,)))
        verdict = judge(Reading(inventory), terms("12.0"))
        assert verdict.outcome is Outcome.UNDETERMINED
        assert "at byte 512" in verdict.findings[0].message

    def test_what_is_missing_from_a_damaged_file_may_be_in_the_damage(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        hole = Damage("a.so", "The region ends before its size.")
        broken = make_file("a.so", (("sm_80", ("k",)),), damage=(hole,))
        assert judge(Reading(make_inventory(broken)), terms("12.0")).outcome is Outcome.UNDETERMINED

    def test_a_whole_file_that_fails_decides(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        hole = Damage("a.so", "The region ends before its size.")
        broken = make_file("a.so", (("sm_120", ("k",)),), damage=(hole,))
        whole = make_file("b.so", (("sm_80", ("k",)),))
        assert judge(Reading(make_inventory(broken, whole)), terms("12.0")).outcome is Outcome.FAIL

    def test_damage_of_the_subject_without_any_code(self, make_inventory: MakeInventory) -> None:
        hole = Damage("x.whl", "Its directory is damaged.")
        assert (
            judge(Reading(make_inventory(damage=(hole,))), terms()).outcome is Outcome.UNDETERMINED
        )

    def test_backends_that_disagree(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        file = make_file("a.so", (("sm_120", ("k",)),))
        target = file.regions[0].objects[0].target
        differences = tuple(
            Difference("a.so", Kind.CUBIN, target, (str(n),), 1, 0) for n in range(9)
        )
        comparison = Comparison(1, 9, 9, differences, ())
        verdict = judge(
            Reading(make_inventory(file), Backend.BOTH, None, comparison), terms("12.0")
        )
        assert verdict.outcome is Outcome.UNDETERMINED
        (finding,) = verdict.findings
        assert "disagree on 9 kinds" in finding.message
        assert "and 4 more" in finding.message

    def test_an_old_cuobjdump_confirms_no_family(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        file = make_file("a.so", (("sm_120f", ("k",)),))
        verdict = judge(
            Reading(
                make_inventory(file),
                backend=Backend.BOTH,
                comparison=Comparison(1, 1, 1, (), ()),
                prints_suffix_f=False,
            ),
            terms("12.0"),
        )
        assert rules(verdict, Level.WARNING) == ["families-untold"]

    def test_a_file_that_cuobjdump_cannot_read_is_not_confirmed(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        file = make_file("a.so", (("sm_120", ("k",)),))
        unread = (Damage("a.so", "it exits with 1: Invalid ELF."),)
        verdict = judge(
            Reading(make_inventory(file), Backend.BOTH, comparison=Comparison(0, 0, 0, (), unread)),
            terms("12.0"),
        )
        assert rules(verdict) == ["cuobjdump-failed"]
        assert verdict.outcome is Outcome.UNDETERMINED

    def test_a_suffix_that_is_not_recorded(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        file = make_file("a.cubin", (("sm_120", ("k",)),), origin=Origin.RAW)
        (region,) = file.regions
        (code,) = region.objects
        unknown = code._replace(target=code.target._replace(suffix=Suffix.UNKNOWN))
        raw = file._replace(regions=(region._replace(objects=(unknown,)),))
        verdict = judge(Reading(make_inventory(raw)), terms("12.1"))
        assert rules(verdict, Level.ERROR) == ["suffix-unknown"]
        assert verdict.outcome is Outcome.UNDETERMINED

    def test_code_that_nothing_can_be_said_of(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        empty = make_file("a.so", (("sm_120", ()),))
        assert judge(Reading(make_inventory(empty)), terms("12.0")).outcome is Outcome.UNDETERMINED
        full = make_file("b.so", (("sm_120", ("k",)),))
        verdict = judge(Reading(make_inventory(empty, full)), terms("12.0"))
        assert verdict.outcome is Outcome.PASS
        assert rules(verdict, Level.WARNING) == ["unjudged-code"]

    @pytest.mark.parametrize(
        ("path", "kind", "remedy"),
        [
            ("a.a", Kind.LTO_IR, "that it is linked into"),
            ("a.o", Kind.CUBIN, "that it is linked into"),
            ("a.so", Kind.CUBIN, "no kernel of its own"),
            ("a.so", Kind.LTO_IR, "nvJitLink"),
            ("a.so", Kind.RELOCATABLE_PTX, "nvJitLink"),
            ("a.so", Kind.TILE_IR, "compile it on the device"),
            ("a.so", Kind.UNKNOWN, "Load it on the device"),
        ],
    )
    def test_the_remedy_fits_what_could_not_be_judged(
        self,
        make_file: MakeFile,
        make_inventory: MakeInventory,
        path: str,
        kind: Kind,
        remedy: str,
    ) -> None:
        file = make_file(path, (("sm_120", ()),))
        (region,) = file.regions
        objects = (region.objects[0]._replace(kind=kind),)
        file = file._replace(regions=(region._replace(objects=objects),))
        (finding,) = judge(Reading(make_inventory(file)), terms("12.0")).findings
        assert finding.rule == "unjudged-code"
        assert remedy in (finding.remedy or "")

    def test_a_library_that_slimming_emptied_needs_nothing(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        empty = make_file("a.so", (("compute_90a@8.0", ()),))
        full = make_file("b.so", (("sm_120", ("k",)),))
        copy = SlimmedCopy(
            "x.dist-info/smforge-rewrite.json", "x.whl", frozenset({ComputeCapability(12, 0)})
        )
        inventory = make_inventory(empty, full)
        reading = Reading(inventory, host_files=HostFiles(copies=(copy,)))
        (finding,) = judge(reading, terms("12.0")).findings
        assert (finding.rule, finding.level) == ("unjudged-code", Level.WARNING)
        assert "taken out because" in (finding.remedy or "")

    def test_few_missing_kernels_are_named_in_full(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        few, many = ("_Z1fILi1EEvv", "_Z1fILi2EEvv"), tuple(f"_Z1gILi{n}EEvv" for n in range(9))
        file = make_file("a.so", (("sm_80", few[:1]), ("sm_90", few), ("compute_80@1.0", many)))
        (finding,) = (
            one
            for one in judge(Reading(make_inventory(file)), terms("7.5")).findings
            if one.file is not None
        )
        assert [(one.name, one.count) for one in finding.families] == [("g<…>", 9), ("f<…>", 2)]
        assert finding.families[0].members == ()
        assert finding.families[1].members == (
            Member("void f<1>()", ("sm_80", "sm_90")),
            Member("void f<2>()", ("sm_90",)),
        )

    def test_one_region_of_a_file_that_nothing_can_be_said_of(
        self, make_file: MakeFile, make_inventory: MakeInventory
    ) -> None:
        file = make_file("a.so", (("sm_120", ("k",)),), (("sm_120", None),))
        good, other = file.regions
        ir = other.objects[0]._replace(kind=Kind.LTO_IR)
        both = file._replace(regions=(good, other._replace(objects=(ir,))))
        verdict = judge(Reading(make_inventory(both)), terms("12.0"))
        (finding,) = verdict.findings
        assert (finding.rule, finding.level) == ("unjudged-code", Level.WARNING)
        assert "1 fatbin beside others, at byte 64" in finding.message
        assert "lto-ir" in finding.message

    @pytest.mark.parametrize("kind", [Kind.INDEX, Kind.CONCATENATED])
    def test_a_fatbin_of_a_kind_that_no_compiler_makes_is_no_pass(
        self, make_file: MakeFile, make_inventory: MakeInventory, kind: Kind
    ) -> None:
        file = make_file("a.so", (("sm_120", ("k",)),), (("sm_120", None),))
        good, other = file.regions
        strange = other._replace(objects=(other.objects[0]._replace(kind=kind),))
        both = file._replace(regions=(good, strange))
        verdict = judge(Reading(make_inventory(both)), terms("12.0"))
        assert rules(verdict, Level.ERROR) == ["unjudged-code"]
        assert verdict.outcome is Outcome.UNDETERMINED
        assert judge(Reading(make_inventory(both)), terms()).outcome is Outcome.PASS

    @pytest.mark.parametrize("required", ["12.0", "8.0"])
    def test_a_header_that_its_payload_contradicts(
        self, make_file: MakeFile, make_inventory: MakeInventory, required: str
    ) -> None:
        """On neither device is it a pass: what the driver chooses is not what runs there."""
        file = make_file("a.so", (("sm_80", ("k",)),))
        (region,) = file.regions
        code = region.objects[0]._replace(contradicted="sm_120")
        changed = file._replace(regions=(region._replace(objects=(code,)),))
        verdict = judge(Reading(make_inventory(changed)), terms(required))
        assert "header-payload-mismatch" in rules(verdict, Level.ERROR)
        assert verdict.outcome is Outcome.FAIL


def test_without_names_regions_are_judged(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    inventory = make_inventory(make_file("a.so", (("sm_80", None),), (("sm_120", None),)))
    verdict = judge(Reading(inventory), terms("12.0"))
    assert not verdict.view.names_read
    assert "names-unread" not in rules(verdict)
    (finding,) = verdict.findings
    assert "1 of 2 regions cannot run" in finding.message
    assert finding.families == ()


def test_code_that_cuobjdump_does_not_see_counts_and_is_told(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    file = make_file("a.so", (("sm_120", ("k",)),), origin=Origin.EMBEDDED)
    verdict = judge(Reading(make_inventory(file)), terms("12.0"))
    assert verdict.outcome is Outcome.PASS
    assert rules(verdict) == ["unseen-code"]


def test_thousands_of_cubin_files_for_others_are_one_note(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    files = [make_file(f"{n}.cubin", (("sm_100f", ("k",)),), origin=Origin.RAW) for n in range(50)]
    good = make_file("a.so", (("sm_120", ("k",)),))
    verdict = judge(Reading(make_inventory(good, *files)), terms("12.0 sm_120"))
    assert verdict.outcome is Outcome.PASS
    assert rules(verdict) == ["device-foreign", "target-absent"]
    assert all("50 cubin files" in one.message for one in verdict.findings)


def test_without_names_nothing_is_said_of_the_object_that_is_picked(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    inventory = make_inventory(make_file("a.so", (("sm_80", None), ("sm_120", None))))
    verdict = judge(Reading(inventory), terms("12.0"))
    assert rules(verdict) == ["names-unread"]
    assert verdict.outcome is Outcome.PASS
    assert rules(judge(Reading(inventory), terms())) == []
