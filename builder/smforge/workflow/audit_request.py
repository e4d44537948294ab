"""Makes the request of an audit from the flags of ``smforge audit``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smforge.arch.devices import device
from smforge.arch.drivers import DriverVersion
from smforge.arch.requirement import Requirements, parse_requirements
from smforge.errors import UsageError
from smforge.policy.excuses import Excuse, allowed_on_command_line
from smforge.policy.files import load_policy, shipped_for_kernels
from smforge.verdict.expectation import read_expectation
from smforge.verdict.request import AuditRequest


def request_of(  # noqa: PLR0913 - one per flag
    *,
    words: Sequence[str],
    variant: str | None,
    config: Path | None,
    driver: str | None,
    native: bool,
    allowed: Sequence[str],
    policies: Sequence[Path],
    shipped: bool,
    expected: str | None = None,
) -> AuditRequest:
    """Gather what is asked. Raises `UsageError` and `ConfigurationError` for what cannot be."""
    for text in words:
        if not parse_requirements([text]):
            raise UsageError(
                f"--require {text!r} names no device and no target.",
                remedy="If it comes from a variable, check why the variable is empty; without "
                "--require nothing is required.",
            )
    requirements = [parse_requirements(words)]
    of_variant: tuple[Path, ...] = ()
    if variant is not None:
        required, of_variant = _of_variant(variant, config)
        requirements.append(required)
    excuses: list[Excuse] = []
    for path in (*of_variant, *policies):
        policy = load_policy(path)
        requirements.append(policy.requirements)
        native = native or policy.native
        excuses += policy.kernels
    excuses += [allowed_on_command_line(pattern) for pattern in allowed]
    if shipped:
        excuses += shipped_for_kernels()
    expectations = []
    if expected is not None:
        expectations.append(read_expectation(expected))
    asked = _joined(requirements)
    for capability in asked.devices:
        device(capability)
    return AuditRequest(
        requirements=asked,
        driver=None if driver is None else DriverVersion.parse(driver),
        native_only=native,
        excuses=tuple(excuses),
        expectations=tuple(expectations),
    )


def _of_variant(variant: str, config: Path | None) -> tuple[Requirements, tuple[Path, ...]]:
    """What a variant of a matrix requires, and its policies."""
    from smforge.matrix.load import load  # noqa: PLC0415  # defers pydantic
    from smforge.plan.resolve import resolve  # noqa: PLC0415  # defers pydantic

    matrix = load(config)
    cells = resolve(matrix, (variant,)).cells
    root = matrix.path.resolve().parent
    policies = dict.fromkeys(root / name for cell in cells for name in cell.policies)
    return _joined([cell.requirements for cell in cells]), tuple(policies)


def _joined(several: Sequence[Requirements]) -> Requirements:
    devices = dict.fromkeys(one for requirements in several for one in requirements.devices)
    targets = dict.fromkeys(one for requirements in several for one in requirements.targets)
    return Requirements(tuple(devices), tuple(targets))
