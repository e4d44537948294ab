"""FlashInfer's providers: one package per architecture, of which a device loads one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.findings import Level, Outcome
from smforge.inventory.records import FileInventory, Inventory
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest

MakeFile = Callable[..., FileInventory]
MakeInventory = Callable[..., Inventory]

WHEEL = "flashinfer_jit_cache_{arch}-0.7.2+cu130-py3-none-manylinux_2_39_x86_64.whl/"
VENV = "opt/venv/lib/python3.13/site-packages/"


@pytest.fixture
def provider(make_file: MakeFile) -> Callable[..., FileInventory]:
    def make(arch: str, *targets: str, below: str = VENV, library: str = "page") -> FileInventory:
        place = below.format(arch=arch)
        path = f"{place}flashinfer_jit_cache_{arch}/jit_cache/{library}/{library}.so"
        return make_file(path, *(((target, ("k",)),) for target in targets or (f"sm_{arch[2:]}",)))

    return make


def terms(required: str) -> AuditRequest:
    return AuditRequest(requirements=parse_requirements(required.split()))


def lacking(verdict: Verdict) -> list[tuple[str, str]]:
    """The device and provider of each error about a file."""
    return [
        (str(finding.device), finding.file.partition("jit_cache_")[2].partition("/")[0])
        for finding in verdict.findings
        if finding.level is Level.ERROR and finding.file
    ]


@pytest.mark.parametrize("below", [VENV, WHEEL, ""])
def test_plain_code_for_others_is_not_missed_where_a_provider_serves(
    provider: Callable[..., FileInventory],
    make_inventory: MakeInventory,
    below: str,
) -> None:
    files = [provider(arch, below=below) for arch in ("sm80", "sm89", "sm90a", "sm120f")]
    verdict = judge(Reading(make_inventory(*files)), terms("8.0 8.9 9.0 12.0"))
    assert verdict.outcome is Outcome.PASS
    assert [
        (one.tally.native, one.tally.foreign, one.tally.missing) for one in verdict.devices
    ] == [
        (1, 3, 0),
        (2, 2, 0),
        (1, 3, 0),
        (1, 3, 0),
    ]
    assert not [one for one in verdict.findings if one.level is not Level.NOTE]


def test_the_same_code_elsewhere_is_missed(
    make_file: MakeFile, make_inventory: MakeInventory
) -> None:
    files = [make_file(f"a/{number}.so", ((f"sm_{number}", ("k",)),)) for number in (80, 89)]
    assert judge(Reading(make_inventory(*files)), terms("8.0 8.9")).outcome is Outcome.FAIL


def test_a_device_without_a_provider_is_missed_whatever_else_runs_on_it(
    provider: Callable[..., FileInventory],
    make_file: MakeFile,
    make_inventory: MakeInventory,
) -> None:
    other = make_file(f"{VENV}lmcache/ops.so", (("sm_110", ("k",)), ("sm_120", ("k",))))
    inventory = make_inventory(provider("sm120f"), other)
    assert judge(Reading(inventory), terms("12.0 12.1")).outcome is Outcome.PASS
    verdict = judge(Reading(inventory), terms("11.0 12.0"))
    assert verdict.outcome is Outcome.FAIL
    assert lacking(verdict) == [("11.0", "sm120f")]


def test_a_provider_without_code_for_its_own_device_is_missed(
    provider: Callable[..., FileInventory], make_inventory: MakeInventory
) -> None:
    """FlashInfer would load it there, whatever another one holds."""
    files = [provider("sm120f"), provider("sm121a", "sm_110a")]
    verdict = judge(Reading(make_inventory(*files)), terms("12.0 12.1"))
    assert lacking(verdict) == [("12.1", "sm121a")]


def test_a_library_that_its_serving_provider_lacks_for_the_device_is_missed(
    provider: Callable[..., FileInventory], make_inventory: MakeInventory
) -> None:
    files = [
        *(provider("sm80", library=name) for name in ("page", "cascade")),
        provider("sm90a"),
        provider("sm90a", "sm_80", library="cascade"),
    ]
    verdict = judge(Reading(make_inventory(*files)), terms("8.0 9.0"))
    assert lacking(verdict) == [("9.0", "sm90a")]


def test_providers_of_two_environments_do_not_stand_in_for_each_other(
    provider: Callable[..., FileInventory], make_inventory: MakeInventory
) -> None:
    files = [provider("sm80", below="a/"), provider("sm90a", below="b/")]
    verdict = judge(Reading(make_inventory(*files)), terms("8.0 9.0"))
    assert sorted(lacking(verdict)) == [("8.0", "sm90a"), ("9.0", "sm80")]
