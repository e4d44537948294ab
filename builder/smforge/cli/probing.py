"""Runs programs of a subject as the flags of ``smforge audit`` ask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smforge.errors import UsageError

if TYPE_CHECKING:
    from smforge.inventory.probing.records import Probed
    from smforge.verdict.request import AuditRequest

_IMAGE = "image:"


@dataclass(frozen=True, slots=True)
class Probing:
    """What may be run, or has been run elsewhere."""

    asked: bool = False
    """``--probe``."""
    python: str | None = None
    """``--probe-python``, which asks for it too."""
    facts: Path | None = None
    """``--probed``: a folder of facts that were written elsewhere."""

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

    @property
    def runs_programs(self) -> bool:
        """Whether programs of the subject may be run."""
        return self.asked or self.python is not None

    def of(self, subject: str, request: AuditRequest) -> Probed | None:
        """The facts of a run of `subject`; None if only its assemblers can be run.

        Raises `UsageError` where a Python is named and there is no folder to use it with.
        """
        if self.facts is not None:
            from smforge.inventory.probing.reading import read_folder  # noqa: PLC0415  # defers pydantic

            return read_folder(self.facts)
        if not self.runs_programs:
            return None
        from smforge.inventory.probing.running import probe_image, probe_python  # noqa: PLC0415  # defers pydantic

        devices = request.requirements.devices
        if subject.startswith(_IMAGE):
            return probe_image(subject.removeprefix(_IMAGE), devices, python=self.python)
        if self.python is None:
            return None
        if not Path(subject).is_dir():
            raise UsageError(
                f"--probe-python {self.python} cannot run anything of {subject}, which is neither "
                "an image of the engine nor a folder.",
                remedy="Name image:REF, or the folder that this Python uses.",
            )
        return probe_python(self.python, devices)
