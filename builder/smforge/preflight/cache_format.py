"""Configurations as JSON, for the cache."""

from __future__ import annotations

from typing import Any

from smforge.arch.target import Target
from smforge.findings import Location
from smforge.preflight.records import Choice, Configuration, External, Refusal, Required, Skip, Unit


def configuration_to_json(configuration: Configuration) -> dict[str, Any]:
    """Everything a configuration holds."""
    refusal = configuration.refusal
    return {
        "archs": configuration.archs,
        "cuda": configuration.cuda,
        "torch": configuration.torch,
        "units": [
            [
                unit.extension,
                unit.source,
                list(unit.gencode),
                [str(one) for one in unit.targets],
                [str(one) for one in unit.ptx],
                _place(unit.location),
                unit.module,
            ]
            for unit in configuration.units
        ],
        "skips": [[one.message, _place(one.location)] for one in configuration.skips],
        "not_examined": [_external(one) for one in configuration.not_examined],
        "fetched": [_external(one) for one in configuration.fetched],
        "host_only": list(configuration.host_only),
        "required": [
            [one.distribution, one.specifier, _place(one.location)]
            for one in configuration.required
        ],
        "list_read": _place(configuration.list_read),
        "choices": [
            [one.variable, one.supported, _place(one.location)] for one in configuration.choices
        ],
        "refusal": refusal and [refusal.message, _place(refusal.location), refusal.by],
    }


def configuration_from_json(data: dict[str, Any]) -> Configuration:
    """Undo `configuration_to_json`.

    Raises `KeyError`, `TypeError` or `ValueError` for other data.
    """
    refusal = data["refusal"]
    return Configuration(
        archs=data["archs"],
        cuda=data["cuda"],
        torch=data["torch"],
        units=tuple(
            Unit(
                extension,
                source,
                tuple(gencode),
                _targets(targets),
                _targets(ptx),
                _read(place),
                module,
            )
            for extension, source, gencode, targets, ptx, place, module in data["units"]
        ),
        skips=tuple(Skip(message, Location(*place)) for message, place in data["skips"]),
        not_examined=tuple(_read_external(row) for row in data["not_examined"]),
        fetched=tuple(_read_external(row) for row in data["fetched"]),
        host_only=tuple(data["host_only"]),
        required=tuple(
            Required(name, specifier, Location(*place))
            for name, specifier, place in data["required"]
        ),
        list_read=_read(data["list_read"]),
        choices=tuple(
            Choice(variable, supported, Location(*place))
            for variable, supported, place in data["choices"]
        ),
        refusal=None if refusal is None else Refusal(refusal[0], _read(refusal[1]), refusal[2]),
    )


def _external(one: External) -> list[Any]:
    place = _place(one.location)
    submodules = list(one.submodules)
    return [
        one.name, one.repository, one.revision, place, one.named_sources, one.problem, submodules
    ]  # fmt: skip


def _read_external(row: list[Any]) -> External:
    name, repository, revision, place, named, problem, submodules = row
    return External(name, repository, revision, Location(*place), named, problem, tuple(submodules))


def _place(location: Location | None) -> list[str | int] | None:
    return None if location is None else [location.file, location.line]


def _read(place: list[Any] | None) -> Location | None:
    return None if place is None else Location(*place)


def _targets(texts: list[str]) -> tuple[Target, ...]:
    return tuple(Target.parse(text) for text in texts)
