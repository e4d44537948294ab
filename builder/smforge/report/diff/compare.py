"""Compares two sides and gives the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from smforge.arch.requirement import Form, RequiredTarget
from smforge.arch.target import ComputeCapability
from smforge.errors import IncomparableError
from smforge.report.diff import model
from smforge.report.diff.devices import View, devices_to_compare, view_of
from smforge.report.diff.named import FamilyMove, Moved, compare_names, library_keys
from smforge.report.diff.pairing import Change
from smforge.report.diff.sides import Library, Side, target_of_code
from smforge.report.diff.tallies import Movement, movement
from smforge.report.diff.terms import DiffTerms
from smforge.version import __version__

Families = Mapping[FamilyMove, Moved]
Steps = dict[ComputeCapability, Movement]
LibraryPair = tuple[Library | None, Library | None]

_STILL = Movement()


def compare(old: Side, new: Side, terms: DiffTerms) -> model.Diff:
    """Say what was lost, gained and grew from `old` to `new`.

    Raises `IncomparableError` where the two do not hold what the question needs.
    """
    named = old.named and new.named
    if not named:
        _check_counts(old, new)
    devices = devices_to_compare(old, new, terms, named=named)
    before, after = (
        view_of(side, devices, named=named, native_only=terms.native_only) for side in (old, new)
    )
    keys = library_keys(old, new)
    pairs = tuple(_matched(old.libraries, new.libraries, keys))
    families: Families = {}
    if named:
        families = compare_names(old, new, keys, devices, terms)
        steps = _steps_by_family(pairs, families)
    else:
        steps = [_steps_by_count(*pair, before, after, devices) for pair in pairs]
    required = terms.requirements.devices or tuple(one for one in devices if before.runs(one))
    held = {one: _held_against(one, families, steps, terms) for one in required}
    failures = (
        *_lost_kernels(held, old.unit),
        *_lost_targets(old, new, terms),
        *(told for key, told in new.broken.items() if key not in old.broken),
    )
    doubts = (*_damage(old), *_damage(new), *_unclear(before, after, required))
    return model.Diff(
        schema_version=model.SCHEMA_VERSION,
        tool=model.Tool(name="smforge", version=__version__),
        old=_identity(old),
        new=_identity(new),
        compared="names" if named else "counts",
        unit="regions" if old.unit == "regions" else "kernels",
        native_only=terms.native_only,
        required=tuple(str(one) for one in (*required, *terms.requirements.targets)),
        devices={
            str(device): _device(device, before, after, steps, required=device in required)
            for device in devices
        },
        targets_lost=_sorted(old.codes - new.codes),
        targets_gained=_sorted(new.codes - old.codes),
        libraries=tuple(
            _library(*pair, before, after, step) for pair, step in zip(pairs, steps, strict=True)
        ),
        families=tuple(_family_changes(families, terms)),
        failures=failures,
        doubts=doubts,
        verdict=_verdict(old, new, failures, doubts),
    )


def _check_counts(old: Side, new: Side) -> None:
    """Refuse counts that do not count the same things."""
    if old.unit != new.unit:
        raise IncomparableError(
            f"{old.identity.name} is counted in {old.unit} and {new.identity.name} in {new.unit}.",
            remedy="Save both reports with --kernels.",
        )
    if old.driver != new.driver:
        raise IncomparableError(
            f"The reports were made for different drivers ({old.driver or 'any'} and "
            f"{new.driver or 'any'}) and list no kernels.",
            remedy="Save both with the same --driver, or with --kernels.",
        )


def _matched(
    old: Sequence[Library], new: Sequence[Library], keys: Mapping[str, str]
) -> Iterator[LibraryPair]:
    after = {keys[one.path]: one for one in new}
    for library in old:
        yield library, after.pop(keys[library.path], None)
    for library in after.values():
        yield None, library


def _steps_by_count(
    old: Library | None,
    new: Library | None,
    before: View,
    after: View,
    devices: Sequence[ComputeCapability],
) -> Steps:
    change = Change.REPLACED if new else Change.REMOVED
    return {
        device: movement(
            before.tally(old, device),
            after.tally(new, device),
            change,
            native_only=before.native_only,
        )
        for device in devices
    }


def _steps_by_family(pairs: Iterable[LibraryPair], families: Families) -> list[Steps]:
    """Sum up per library: losses where the kernels were, gains where they are."""
    lost: dict[str, Steps] = {}
    gained: dict[str, Steps] = {}
    for move, moved in families.items():
        for device, step in moved.devices.items():
            if move.old_library is not None:
                _add(
                    lost, move.old_library, device, Movement(step.lost, step.gone, 0, step.demoted)
                )
            if move.new_library is not None:
                _add(gained, move.new_library, device, Movement(gained=step.gained))
    return [
        _joined(lost.get(old.path, {}) if old else {}, gained.get(new.path, {}) if new else {})
        for old, new in pairs
    ]


def _add(sums: dict[str, Steps], path: str, device: ComputeCapability, step: Movement) -> None:
    of = sums.setdefault(path, {})
    of[device] = of.get(device, _STILL) + step


def _joined(one: Steps, other: Steps) -> Steps:
    return {
        device: one.get(device, _STILL) + other.get(device, _STILL)
        for device in sorted(one.keys() | other.keys())
    }


def _held_against(
    device: ComputeCapability, families: Families, steps: Iterable[Steps], terms: DiffTerms
) -> tuple[int, int]:
    """How many losses on a device count, and how many may be."""
    whole = sum(one.get(device, _STILL).lost for one in steps)
    if not families:
        return whole, 0
    held = 0
    for move, moved in families.items():
        step = moved.devices.get(device, _STILL)
        if not move.allowed:
            held += step.lost - (step.gone if terms.allow_removed else 0)
    return held, whole - held


def _lost_kernels(held: Mapping[ComputeCapability, tuple[int, int]], unit: str) -> Iterator[str]:
    alike: dict[tuple[int, int], list[str]] = {}
    for device, counts in held.items():
        alike.setdefault(counts, []).append(str(device))
    for (count, excused), devices in alike.items():
        if count:
            noun = unit if count > 1 else unit.removesuffix("s")
            verb = "lose" if len(devices) > 1 else "loses"
            each = " each" if len(devices) > 1 else ""
            rest = f", beside {excused:,} that may be lost" if excused else ""
            yield f"{_listed(devices)} {verb} {count:,} {noun}{each}{rest}."


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _lost_targets(old: Side, new: Side, terms: DiffTerms) -> Iterator[str]:
    for target in terms.requirements.targets:
        if _embeds(old, target) and not _embeds(new, target):
            yield f"Nothing embeds {target} any more."


def _embeds(side: Side, required: RequiredTarget) -> bool:
    names = {
        Form.CUBIN: {required.target.sm},
        Form.PTX: {required.target.compute},
        Form.ANY: {required.target.sm, required.target.compute},
    }
    return bool(names[required.form] & side.codes)


def _damage(side: Side) -> Iterator[str]:
    return (f"{side.identity.name}: {text}" for text in side.doubts)


def _unclear(before: View, after: View, required: Iterable[ComputeCapability]) -> Iterator[str]:
    for device in required:
        old, new = before.whole(device).unclear, after.whole(device).unclear
        if old > new:
            yield (
                f"{before.side.identity.name}: whether {old:,} kernels run on {device} depends on "
                "a suffix that their cubins do not record."
            )


def _verdict(old: Side, new: Side, failures: Sequence[str], doubts: Sequence[str]) -> model.Verdict:
    # What is damaged on the old side can only hide losses. What is damaged on the new one may be
    # the very code that seems to be lost.
    if failures and not new.doubts:
        return "fail"
    if doubts:
        return "undetermined"
    return "pass" if old.libraries else "nothing"


def _device(
    device: ComputeCapability,
    before: View,
    after: View,
    steps: Iterable[Steps],
    *,
    required: bool,
) -> model.DeviceChange:
    whole = sum((one.get(device, _STILL) for one in steps), Movement())
    return model.DeviceChange(
        required=required,
        runs=model.Before(old=before.runs(device), new=after.runs(device)),
        lost=whole.lost,
        gained=whole.gained,
        demoted=whole.demoted,
    )


def _library(
    old: Library | None, new: Library | None, before: View, after: View, steps: Steps
) -> model.LibraryChange:
    ran, runs = before.ran_on(old), after.ran_on(new)
    had = old.codes if old else frozenset()
    has = new.codes if new else frozenset()
    return model.LibraryChange(
        old=old.path if old else None,
        new=new.path if new else None,
        size=model.Before(old=old.size if old else None, new=new.size if new else None),
        code=model.Before(old=old.code_bytes if old else None, new=new.code_bytes if new else None),
        count=model.Before(old=old.count if old else None, new=new.count if new else None),
        targets_lost=_sorted(had - has),
        targets_gained=_sorted(has - had),
        devices_lost=tuple(str(one) for one in sorted(ran - runs)),
        devices_gained=tuple(str(one) for one in sorted(runs - ran)),
        **_per_device(steps),
    )


def _family_changes(families: Families, terms: DiffTerms) -> Iterator[model.FamilyChange]:
    for move, moved in sorted(families.items(), key=_weight):
        yield model.FamilyChange(
            family=move.family,
            change=move.change.value,
            old_library=move.old_library,
            new_library=move.new_library,
            old=moved.old,
            new=moved.new,
            allowed=move.allowed or (terms.allow_removed and _gone_alone(moved)),
            **_per_device(moved.devices),
        )


def _gone_alone(moved: Moved) -> bool:
    """Whether all that was lost exists for no device any more."""
    steps = moved.devices.values()
    return any(step.lost for step in steps) and all(step.lost == step.gone for step in steps)


def _weight(item: tuple[FamilyMove, Moved]) -> tuple[int, int, int, str]:
    """What was lost comes first, then what changed most."""
    move, moved = item
    lost = max((step.lost for step in moved.devices.values()), default=0)
    gained = max((step.gained for step in moved.devices.values()), default=0)
    return -lost, -gained, list(Change).index(move.change), move.family


def _per_device(steps: Mapping[ComputeCapability, Movement]) -> dict[str, dict[str, int]]:
    return {
        word: {
            str(device): number
            for device, step in sorted(steps.items())
            if (number := getattr(step, word))
        }
        for word in ("lost", "gained", "demoted")
    }


def _identity(side: Side) -> model.SideIdentity:
    subject = side.identity
    return model.SideIdentity(
        kind=subject.kind, name=subject.name, digest=subject.digest, saved=side.saved
    )


def _sorted(codes: Iterable[str]) -> tuple[str, ...]:
    """Machine code first, each in the order of the architectures."""
    return tuple(sorted(codes, key=lambda code: (code[0] != "s", target_of_code(code))))
