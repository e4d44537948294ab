"""From the flags of ``smforge audit`` to what is learned by running the subject."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smforge.errors import UsageError

if TYPE_CHECKING:
    from smforge.inventory.probing.records import Probed
    from smforge.verdict.request import Terms

_IMAGE = "image:"


@dataclass(frozen=True, slots=True)
class Probing:
    """What may be run, or has been run elsewhere."""

    asked: bool = False
    """``--probe``."""
    python: str | None = None
    """``--probe-python``, which asks for it too."""
    facts: Path | None = None
    """``--probed``: a folder of facts that somebody else wrote."""

    def require_one_subject(self, subjects: tuple[str, ...]) -> None:
        """Raise `UsageError` where facts or a Python are of one subject and there are several."""
        if len(subjects) > 1 and (self.facts or self.python):
            raise UsageError(
                "--probed and --probe-python belong to one subject, and there are several.",
                remedy="Audit them one by one.",
            )
        if self.facts and (self.asked or self.python):
            raise UsageError(
                "--probed names facts that are there, and --probe asks for new ones.",
                remedy="Leave one of them out.",
            )

    def of(self, subject: str, terms: Terms) -> Probed | None:
        """What running `subject` tells; None where that is not asked for.

        Raises `UsageError` for what cannot be run.
        """
        if self.facts is not None:
            from smforge.inventory.probing.reading import read_folder  # noqa: PLC0415

            return read_folder(self.facts)
        if not (self.asked or self.python):
            return None
        from smforge.inventory.probing.running import probe_image, probe_python  # noqa: PLC0415

        devices = terms.requirements.devices
        if subject.startswith(_IMAGE):
            return probe_image(subject.removeprefix(_IMAGE), devices, python=self.python)
        if self.python is None or not Path(subject).is_dir():
            raise UsageError(
                f"{subject} cannot be run.",
                remedy="Probe image:REF, or a folder with the Python that uses it: "
                "--probe-python PYTHON.",
            )
        return probe_python(self.python, devices)
