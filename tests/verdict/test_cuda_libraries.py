"""Each file that needs a library of CUDA is held against what the subject brings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smforge.arch.cuda_libraries import cuda_library
from smforge.findings import Finding, Level, Outcome
from smforge.inventory.jit_tools.records import HostFiles, LibraryUser
from smforge.inventory.records import FileInventory, Inventory, Subject, SubjectKind
from smforge.verdict.cuda_builds import CudaBuilds
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.request import AuditRequest

CODE = (("sm_120", ("k",)),)
TREE, WHEEL, IMAGE = SubjectKind.TREE, SubjectKind.WHEEL, SubjectKind.IMAGE
Look = Callable[..., list[Finding]]


def user(path: str, *needed: str, named: tuple[str, ...] = ()) -> LibraryUser:
    return LibraryUser(path, needed, named)


@pytest.fixture
def found(make_file: Callable[..., FileInventory]) -> Look:
    """The findings for files that use libraries, in a subject that brings `brought`."""

    def look(
        *users: LibraryUser, brought: tuple[str, ...] = (), kind: SubjectKind = TREE
    ) -> list[Finding]:
        subject = Subject(kind, "subject", None)
        inventory = Inventory(subject, (make_file("code.so", CODE),), 1)
        host_files = HostFiles(libraries=brought, users=users)
        verdict = judge(Reading(inventory, host_files=host_files), AuditRequest())
        certain = any(one.level is Level.ERROR for one in verdict.findings)
        assert verdict.outcome is (Outcome.FAIL if certain else Outcome.PASS)
        return [one for one in verdict.findings if one.rule == "cudart-mismatch"]

    return look


class TestNeeded:
    @pytest.mark.parametrize("kind", [TREE, WHEEL, IMAGE])
    def test_one_that_alone_needs_what_is_not_there(self, found: Look, kind: SubjectKind) -> None:
        (finding,) = found(
            user("_C.so", "libcudart.so.13"), brought=("lib/libcudart.so.12",), kind=kind
        )
        assert (finding.level, finding.file) == (Level.ERROR, "_C.so")
        assert "needs libcudart.so.13" in finding.message
        assert "it brings libcudart.so.12" in finding.message
        assert finding.remedy == "Add libcudart.so.13, or take the build of _C.so for CUDA 12."

    def test_how_many_need_it_does_not_matter(self, found: Look) -> None:
        """The two that need 13 are in the majority, and they are the ones that fail."""
        wrong = user("a.so", "libcudart.so.13"), user("b.so", "libcudart.so.13")
        findings = found(*wrong, user("c.so", "libcudart.so.12"), brought=("libcudart.so.12",))
        assert {(one.file, one.level) for one in findings} == {
            ("a.so", Level.ERROR),
            ("b.so", Level.ERROR),
        }

    def test_a_file_of_the_full_version_is_the_library(self, found: Look) -> None:
        brought = ("libcudart.so.11.0.221", "libcublas.so.13.1.0.3")
        assert found(user("a.so", "libcudart.so.11.0"), brought=brought) == []
        assert found(user("a.so", "libcublas.so.13"), brought=brought) == []

    def test_libraries_that_count_on_their_own(self, found: Look) -> None:
        brought = ("libcufft.so.12", "libcudart.so.13")
        (finding,) = found(user("a.so", "libcufft.so.11"), brought=brought)
        assert finding.level is Level.ERROR
        assert finding.remedy == "Add libcufft.so.11."
        assert found(user("a.so", "libcufft.so.12"), brought=brought) == []

    def test_cudnn_of_another_major(self, found: Look) -> None:
        (finding,) = found(user("a.so", "libcudnn.so.8"), brought=("lib/libcudnn.so.9",))
        assert finding.level is Level.ERROR
        assert found(user("a.so", "libcudnn.so.9"), brought=("lib/libcudnn.so.9",)) == []

    def test_a_runtime_of_another_major_contradicts(self, found: Look) -> None:
        (finding,) = found(user("a.so", "libcublas.so.12"), brought=("libcudart.so.13",))
        assert finding.level is Level.ERROR

    @pytest.mark.parametrize(
        ("kind", "brought", "level"),
        [
            # It may come from another wheel.
            (WHEEL, ("libcudart.so.13",), None),
            (WHEEL, (), None),
            (TREE, (), None),
            # A folder may not be all that there is.
            (TREE, ("libcudart.so.13",), Level.WARNING),
            # An image without any library of CUDA gets them mounted, or does not use this file.
            (IMAGE, (), Level.WARNING),
            (IMAGE, ("libcudart.so.13",), Level.ERROR),
        ],
    )
    def test_one_that_nothing_speaks_against(
        self, found: Look, kind: SubjectKind, brought: tuple[str, ...], level: Level | None
    ) -> None:
        findings = found(user("a.so", "libcublas.so.13"), brought=brought, kind=kind)
        assert [one.level for one in findings] == ([level] if level else [])

    def test_builds_for_several_majors(self, found: Look) -> None:
        builds = [
            user(f"bnb/libbnb_cuda{name}.so", f"libcudart.so.{major}")
            for name, major in (("118", "11.0"), ("128", "12"), ("130", "13"))
        ]
        findings = found(*builds, brought=("libcudart.so.13",), kind=IMAGE)
        (note,) = findings
        assert (note.file, note.level) == (None, Level.NOTE)
        assert note.message.startswith("bnb/libbnb_cuda118.so, bnb/libbnb_cuda128.so cannot")
        assert found(*builds, kind=WHEEL) == []
        (finding, *_) = found(*builds[:2], brought=("libcudart.so.13",), kind=IMAGE)
        assert finding.level is Level.ERROR, "none of them loads"

    def test_what_the_inventory_knows_counts_too(
        self, make_file: Callable[..., FileInventory]
    ) -> None:
        file = make_file("a.so", CODE, needed=("libc.so.6", "libcudart.so.13"))
        inventory = Inventory(Subject(TREE, "subject", None), (file,), 1)
        reading = Reading(inventory, host_files=HostFiles(libraries=("libcudart.so.12",)))
        assert judge(reading, AuditRequest()).outcome is Outcome.FAIL


class TestTwoMajors:
    def test_both_are_named_and_neither_is_accused(self, found: Look) -> None:
        users = [user(f"{name}.so", "libcudart.so.13") for name in "abcd"]
        for brought in ((), ("libcudart.so.12", "libcudart.so.13")):
            (finding,) = found(
                *users,
                user("e.so", "libcublas.so.12"),
                brought=brought[:1] and (*brought, "libcublas.so.12"),
            )
            assert (finding.level, finding.file) == (Level.WARNING, None)
            assert "e.so needs CUDA 12 (libcublas.so.12)" in finding.message
            assert "a.so, b.so, c.so and 1 more need CUDA 13 (libcudart.so.13)" in finding.message

    def test_one_major_is_no_finding(self, found: Look) -> None:
        users = user("a.so", "libcudart.so.13", "libcufft.so.12"), user("b.so", "libcublas.so.13")
        assert found(*users) == []


class TestNamed:
    """A soname as text: the file opens the library when it runs, if it does."""

    OPENS = user("libctranslate2.so", named=("libcublas.so.12",))

    def test_another_major_is_a_warning(self, found: Look) -> None:
        (finding,) = found(self.OPENS, brought=("libcublas.so.13",))
        assert (finding.level, finding.file) == (Level.WARNING, "libctranslate2.so")
        assert "names libcublas.so.12, which it may open when it runs" in finding.message
        assert "does not bring (it brings libcublas.so.13)" in finding.message

    def test_it_is_there(self, found: Look) -> None:
        for name in ("libcublas.so.12", "libcublas.so.12.9.1.4"):
            assert found(self.OPENS, brought=(name,)) == []

    def test_any_of_several_will_do(self, found: Look) -> None:
        several = user("a.so", named=("libcupti.so.12", "libcupti.so.13"))
        assert found(several, brought=("libcupti.so.13",)) == []
        (finding,) = found(several, brought=("libcupti.so.11",))
        assert "libcupti.so.12 or libcupti.so.13" in finding.message

    def test_it_may_come_from_elsewhere(self, found: Look) -> None:
        assert found(self.OPENS, kind=WHEEL) == []
        assert found(self.OPENS, brought=("libcudart.so.12",), kind=TREE) == []
        (finding,) = found(self.OPENS, brought=("libcudart.so.12",), kind=IMAGE)
        assert finding.level is Level.WARNING


@pytest.mark.parametrize(
    ("path", "other", "major", "is_build"),
    [
        ("bnb/libbnb_cuda130.so", "bnb/libbnb_cuda128.so", 13, True),
        ("nixl_cu13.libs/nixl/a.so", "nixl_cu12.libs/nixl/a.so", 13, True),
        ("cupy_cuda13x/a.so", "cupy_cuda12x/a.so", 13, True),
        ("opt/cuda-13.0/lib/a.so", "opt/cuda-12.8/lib/a.so", 13, True),
        # What is the same in both is left aside.
        ("venv-cu130/x/lib_cuda128.so", "venv-cu130/x/lib_cuda130.so", 12, True),
        ("bnb/libbnb_cuda130.so", "bnb/libbnb_cuda128.so", 12, False),
        ("bnb/libbnb_cuda130.so", "bnb/libbnb_cuda130.so", 13, False),
        ("py312/_C.so", "py311/_C.so", 13, False),
        ("stage2.so", "stage1.so", 13, False),
        ("libfocu13.so", "libfocu12.so", 13, False),
        # A file of a package that is called after its CUDA needs no counterpart.
        ("nixl_ep_cu12/torch211.so", "nixl_ep_cu13/torch214.so", 12, True),
        ("venv-cu12/x/a.so", "venv-cu13/x/b.so", 12, False),
        ("cu13/a.so", "cu12/b.so", 13, False),
        ("cu13/a_cu12.so", "cu12/a_cu13.so", 13, False),
    ],
)
def test_what_is_a_build_of_another(path: str, other: str, major: int, is_build: bool) -> None:
    assert CudaBuilds([other]).has_other(path, major) is is_build


@pytest.mark.parametrize(
    ("soname", "name", "major"),
    [
        ("libcudart.so.13", "libcudart", 13),
        ("libcudart.so.11.0", "libcudart", 11),
        ("libcublasLt.so.12.9.1.4", "libcublasLt", 12),
        ("libcufft.so.11", "libcufft", None),
        ("libcudnn.so.9", "libcudnn", None),
    ],
)
def test_what_a_soname_says(soname: str, name: str, major: int | None) -> None:
    library = cuda_library(soname)
    assert library is not None
    assert (library.name, library.major) == (name, major)


def test_other_sonames_say_nothing() -> None:
    names = "libc.so.6 libcudart.so libcudart_static.a libcudart-0a1b2c3d.so.13 libcuda.so.1"
    assert [cuda_library(name) for name in names.split()] == [None] * 5
    calls = {name: cuda_library(name) for name in ("libcudart.so.13", "libnvrtc.so.13")}
    assert {name: one.calls_driver for name, one in calls.items() if one} == {
        "libcudart.so.13": True,
        "libnvrtc.so.13": False,
    }
