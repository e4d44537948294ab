"""Checkouts of external projects: what is looked at, what is not, and what is said of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from smforge.errors import UsageError
from smforge.preflight.cache import Cache
from smforge.preflight.records import Preflight
from smforge.preflight.run import Question, preflight
from smforge.preflight.selection import named_extensions
from smforge.preflight.sources.externals import commit_of, open_checkout

Ask = Callable[..., Preflight]
MADE_BY = {"_mla_C": "mla", "_deep_C": "deep"}


@pytest.fixture
def ask(cache: Cache) -> Ask:
    def asked(source: Path, archs: str = "12.0", **more: object) -> Preflight:
        return preflight(Question(source, "13.0", archs, **more), cache)  # type: ignore[arg-type]

    return asked


@pytest.fixture
def mla(tmp_path: Path) -> Path:
    """A checkout of mla with one commit, tagged v1."""
    root = tmp_path / "mla"
    for name in ("csrc/mla.cu", "python/interface.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=first")
    git(root, "tag", "v1")
    return root


def git(where: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    subprocess.run(("git", "-C", str(where), *identity, *arguments), check=True)


def pinned_to(tree: Path, revision: str) -> Path:
    """The tree with another revision of mla."""
    description = tree / "cmake" / "external_projects" / "mla.cmake"
    description.write_text(description.read_text().replace("0123abc", revision))
    return tree


def add(tree: Path, text: str) -> Path:
    """The tree with more at the end of its build description."""
    with (tree / "CMakeLists.txt").open("a") as description:
        description.write(text)
    return tree


def rules(result: Preflight) -> set[str]:
    return {finding.rule for finding in result.findings}


@pytest.mark.parametrize("by", ["commit", "tag"])
def test_a_checkout_of_the_pinned_revision_is_examined(
    ask: Ask, tree: Path, mla: Path, by: str
) -> None:
    commit = commit_of(mla)
    assert commit is not None
    result = ask(pinned_to(tree, {"commit": commit, "tag": "v1"}[by]), externals={"mla": mla})
    assert result.configuration.not_examined == ()
    assert [one.name for one in result.configuration.fetched] == ["mla"]
    assert ".deps/mla-src/csrc/mla.cu" in {one.source for one in result.configuration.units}


@pytest.mark.parametrize("by", ["commit", "tag"])
def test_a_checkout_of_another_revision_is_not_examined(
    ask: Ask, tree: Path, mla: Path, by: str
) -> None:
    pinned = {"commit": "0" * 40, "tag": "v1"}[by]
    git(mla, "commit", "--quiet", "--allow-empty", "--message=second")
    result = ask(pinned_to(tree, pinned), externals={"mla": mla})
    (external,) = result.configuration.not_examined
    assert external.problem is not None
    assert str(commit_of(mla)) in external.problem
    assert f"ask for {pinned}" in external.problem
    (finding,) = (one for one in result.findings if one.rule == "external-differs")
    assert finding.message.startswith("mla is not examined: the checkout that is given is at")


def test_a_checkout_that_moves_on_is_asked_anew(ask: Ask, tree: Path, mla: Path) -> None:
    source = pinned_to(tree, str(commit_of(mla)))
    assert "external-differs" not in rules(ask(source, externals={"mla": mla}))
    git(mla, "commit", "--quiet", "--allow-empty", "--message=second")
    assert "external-differs" in rules(ask(source, externals={"mla": mla}))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "is not a directory"),
        ("empty", "holds no files"),
        ("only git", "holds no files"),
        ("bare", "is a bare git repository"),
    ],
)
def test_a_directory_without_sources_is_refused(
    ask: Ask, small_tree: Path, mla: Path, kind: str, said: str
) -> None:
    place = mla.with_name("given")
    if kind == "bare":
        git(mla, "clone", "--quiet", "--mirror", str(mla), str(place))
    elif kind == "only git":
        git(mla, "clone", "--quiet", "--no-checkout", str(mla), str(place))
    elif kind == "empty":
        (place / "csrc").mkdir(parents=True)
    with pytest.raises(UsageError, match=f"given for mla, {said}"):
        ask(small_tree, externals={"mla": place})


def test_links_in_the_name_of_a_checkout_do_no_harm(ask: Ask, tree: Path, mla: Path) -> None:
    link = mla.with_name("link")
    link.symlink_to(mla)
    assert open_checkout("mla", link) == mla
    result = ask(pinned_to(tree, str(commit_of(mla))), externals={"mla": link})
    assert result.configuration.not_examined == ()


def test_a_name_that_the_sources_do_not_fetch_is_refused(
    ask: Ask, small_tree: Path, mla: Path
) -> None:
    with pytest.raises(UsageError, match="fetch no project mal; they fetch mla") as caught:
        ask(small_tree, externals={"mal": mla})
    assert caught.value.remedy == "Did you mean mla?"


def test_flashinfer_fetches_no_project(ask: Ask, mla: Path) -> None:
    tree = Path(__file__).parent / "flashinfer_tree"
    with pytest.raises(UsageError, match="fetch no other project, and mla is given"):
        ask(tree, "12.0f", externals={"mla": mla})


def test_what_was_fetched_for_the_build_may_be_more_than_the_sources_fetch(
    ask: Ask, small_tree: Path, mla: Path
) -> None:
    result = ask(small_tree, fetched={"other": mla})
    assert [one.name for one in result.configuration.not_examined] == ["mla"]


HOST_ONLY = """
Python_add_library(spin MODULE csrc/bindings.cpp)
add_custom_target(py_kernels)
install(FILES csrc/bindings.cpp DESTINATION vllm COMPONENT py_kernels)
add_custom_target(no_extension)
install(FILES csrc/bindings.cpp DESTINATION vllm COMPONENT _mla_C)
"""


def test_extensions_without_a_cuda_source_are_listed(ask: Ask, tree: Path) -> None:
    """Files that are installed make an extension; a stand-in for another architecture does not."""
    add(tree, HOST_ONLY)
    assert ask(tree, "12.0").configuration.host_only == ("py_kernels", "spin")
    # _mla_C is an empty target for 7.5, and its interface is installed all the same.
    assert ask(tree, "7.5").configuration.host_only == ("py_kernels", "spin")


DEEP = """
include(FetchContent)
FetchContent_Declare(deep GIT_REPOSITORY https://example.invalid/deep.git GIT_TAG v2)
FetchContent_MakeAvailable(deep)
file(GLOB DEEP_SRC ${deep_SOURCE_DIR}/csrc/*.cu)
gencode("${DEEP_SRC}" "12.0")
Python_add_library(_deep_C MODULE ${deep_SOURCE_DIR}/csrc/api.cpp ${DEEP_SRC})
"""


def test_an_extension_of_a_project_that_is_not_there_is_not_called_host_only(
    ask: Ask, tree: Path
) -> None:
    add(tree, DEEP)
    assert ask(tree).configuration.host_only == ()
    selection = named_extensions("_C _deep_C", MADE_BY)
    (finding,) = selection.unmatched(ask(tree).configuration)
    assert finding.rule == "selection-not-examined"
    assert "the sources of deep make" in finding.message


def test_an_extension_of_a_project_that_is_there_is_selected(
    ask: Ask, tree: Path, tmp_path: Path
) -> None:
    add(add(tree, DEEP), HOST_ONLY)
    for name in ("csrc/api.cpp", "csrc/a.cu", "csrc/b.cu"):
        (tmp_path / "deep" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "deep" / name).write_text("")
    selection = named_extensions("_deep_C spin py_kernels", MADE_BY)
    result = ask(tree, externals={"deep": tmp_path / "deep"}, selection=selection)
    assert not {one for one in rules(result) if one.startswith("selection-")}
    assert [one.source for one in result.configuration.units] == [
        ".deps/deep-src/csrc/a.cu", ".deps/deep-src/csrc/b.cu",
    ]  # fmt: skip
    assert result.configuration.host_only == ("py_kernels", "spin")


QUTLASS = """
FetchContent_Declare(cutlass GIT_REPOSITORY https://example.invalid/cutlass.git GIT_TAG v4)
FetchContent_MakeAvailable(cutlass)
set(CUTLASS_INCLUDE_DIR "${CUTLASS_INCLUDE_DIR}" CACHE PATH "Path to CUTLASS include/ directory")
if(NOT EXISTS "${CUTLASS_INCLUDE_DIR}/cutlass/cutlass.h")
  message(FATAL_ERROR "[QUTLASS] CUTLASS headers not found.")
endif()
"""


def test_a_project_that_looks_for_cutlass_finds_a_stand_in(ask: Ask, tree: Path, mla: Path) -> None:
    result = ask(pinned_to(add(tree, QUTLASS), "v1"), externals={"mla": mla})
    assert result.configuration.refusal is None
    assert [one.name for one in result.configuration.not_examined] == ["cutlass"]
