"""The subjects of an audit: those that are named, and those that lie in a folder of wheels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smforge.arch.platforms import WHEEL_SUFFIX
from smforge.inventory.subjects.folder import is_layout
from smforge.inventory.subjects.members import path_text
from smforge.inventory.subjects.opening import names_image, names_remote, public_name


@dataclass(frozen=True, slots=True)
class Asked:
    """One subject, or several that are judged as one installation."""

    arguments: tuple[str, ...]
    """What is opened."""
    name: str = ""
    """Its name in the report; empty where its own is used."""
    named: bool = True
    """Whether the command line names it. Of what lies in a folder, or is listed in a file, only
    what holds GPU code is judged."""
    packages: bool = True
    """Whether wheels and image layouts in a folder belong to it; False where each of them is a
    subject of its own."""

    @property
    def label(self) -> str:
        """What a short line calls it: a file by its name, without the folders above."""
        return self.name or _base(self.arguments[0])

    @property
    def title(self) -> str:
        """What messages call it."""
        return self.name or public_name(self.arguments[0])


def asked_subjects(
    arguments: Sequence[str], listed: Sequence[Asked] = (), *, together: bool
) -> tuple[Asked, ...]:
    """Tell which subjects an audit of these arguments has, and of those that a file lists.

    A folder with wheels or image layouts in it becomes several subjects: each wheel, each layout,
    and what else the folder holds. With `together` everything but images is one subject, judged as
    one installation; an image is an installation of its own.
    """
    found = (*(part for argument in arguments for part in _parts(argument)), *listed)
    if together:
        found = tuple(_joined(found, arguments))
    elif len(arguments) > 1:
        found = tuple(_told_apart(found))
    return found


def _parts(argument: str) -> Iterator[Asked]:
    if names_image(argument) or not Path(argument).is_dir() or is_layout(argument):
        yield Asked((argument,))
        return
    wheels, layouts = _packages_in(argument)
    if not wheels and not layouts:
        yield Asked((argument,))
        return
    for path in wheels:
        yield Asked((path,), _below(path, argument), named=False)
    for path in layouts:
        yield Asked((f"oci:{path}",), _below(path, argument), named=False)
    base = path_text(Path(os.path.realpath(argument)).name)
    what = " and ".join([*["wheels"] * bool(wheels), *["images"] * bool(layouts)])
    yield Asked((argument,), f"{base} without its {what}", named=False, packages=False)


def _packages_in(folder: str) -> tuple[list[str], list[str]]:
    """The wheels and the image layouts of a folder, sorted; links are not followed."""
    wheels: list[str] = []
    layouts: list[str] = []
    for place, folders, files in os.walk(folder):
        if is_layout(place):
            layouts.append(place)
            folders.clear()
            continue
        folders.sort()
        paths = (Path(place, name) for name in files if name.endswith(WHEEL_SUFFIX))
        wheels += (str(path) for path in paths if path.is_file() and not path.is_symlink())
    return sorted(wheels), layouts


def _below(path: str, folder: str) -> str:
    return path_text(os.path.relpath(path, folder).replace(os.sep, "/"))


def _joined(parts: Sequence[Asked], arguments: Sequence[str]) -> Iterator[Asked]:
    installed = [one for one in parts if not _is_image(one)]
    if len(installed) > 1:
        whole = tuple(argument for one in installed for argument in one.arguments)
        yield Asked(whole, _name_of(arguments), packages=all(one.packages for one in installed))
    else:
        yield from installed
    yield from (one for one in parts if _is_image(one))


def _is_image(one: Asked) -> bool:
    return names_image(one.arguments[0])


def _name_of(arguments: Sequence[str]) -> str:
    names = [_base(one) for one in arguments if not names_image(one)]
    return " + ".join(names) or "all requirements"


def _base(argument: str) -> str:
    if names_remote(argument):
        return public_name(argument)
    return path_text(Path(os.path.normpath(argument)).name) or argument


def _told_apart(parts: Sequence[Asked]) -> Iterator[Asked]:
    """Give subjects of one name the paths that tell them apart."""
    names = Counter(one.name or _base(one.arguments[0]) for one in parts)
    for one in parts:
        alike = names[one.name or _base(one.arguments[0])] > 1
        yield replace(one, name=path_text(one.arguments[0])) if alike else one
