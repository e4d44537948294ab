"""The errors a user can meet: one class per kind, each with its exit code and a remedy.

Every message is a sentence that says what is wrong and where; `remedy` says what to do about it.
`smforge.cli` prints both on one line and exits with `exit_code`. Anything else that escapes is a
defect of smforge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

EXIT_PASS = 0
EXIT_FINDINGS = 1
EXIT_USAGE = 2
EXIT_NOTHING = 3
EXIT_UNDETERMINED = 4
EXIT_BUILD_FAILED = 5
EXIT_INTERRUPTED = 130
"""The exit status that shells report for a process that SIGINT ended."""
EXIT_OF_VERDICT = {
    "pass": EXIT_PASS,
    "fail": EXIT_FINDINGS,
    "nothing": EXIT_NOTHING,
    "undetermined": EXIT_UNDETERMINED,
}
"""The exit code of a command after a report of this verdict."""


class SmforgeError(Exception):
    """A failure that the user can act on."""

    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message

    @property
    def lines(self) -> tuple[str, ...]:
        """What the user reads: one line, or several where one reading found several problems."""
        return (str(self),)


class UsageError(SmforgeError):
    """The command line asks for something that does not exist or does not go together."""


class ArchitectureError(UsageError):
    """A compute capability, target or architecture list cannot be read."""


class ConfigurationError(SmforgeError):
    """A configuration file cannot be read or contradicts itself."""


class ImpossibleCellError(ConfigurationError):
    """The matrix asks for a build that cannot exist, such as sm_110 with CUDA 12.9."""


class SeveralProblemsError(ConfigurationError):
    """Several problems that one reading of a file found, so that all can be corrected at once."""

    def __init__(self, problems: Sequence[ConfigurationError]) -> None:
        super().__init__(" ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(str(problem) for problem in self.problems)


class UnpublishableError(SmforgeError):
    """A built file breaks a rule of the place where it would be published."""

    exit_code = EXIT_FINDINGS


class NothingToAuditError(SmforgeError):
    """The subject holds no GPU code, so there is nothing to pass or to fail."""

    exit_code = EXIT_NOTHING


class DamagedInputError(SmforgeError):
    """The bytes of a subject contradict their format, so no verdict can be given."""

    exit_code = EXIT_UNDETERMINED


class LimitExceededError(DamagedInputError):
    """A subject asks for more memory, time or members than the configured limits allow."""


class OutputError(SmforgeError):
    """A result could not be written."""

    exit_code = EXIT_UNDETERMINED


class NoRoomError(OutputError):
    """A disk has less room than what is to be written takes."""


class IncomparableError(SmforgeError):
    """Two reports do not hold what a comparison of them needs."""

    exit_code = EXIT_UNDETERMINED


class ToolError(SmforgeError):
    """An external tool is missing, timed out or failed."""

    exit_code = EXIT_UNDETERMINED


class BuildFailedError(SmforgeError):
    """A build step failed, or the build could not be carried out."""

    exit_code = EXIT_BUILD_FAILED


class PredictedLossError(SmforgeError):
    """Preflight predicts that a build would leave out what a required device needs."""

    exit_code = EXIT_FINDINGS

    def __init__(self, losses: Sequence[str], *, remedy: str) -> None:
        super().__init__(" ".join(losses), remedy=remedy)
        self.losses = tuple(losses)

    @property
    def lines(self) -> tuple[str, ...]:
        return (*self.losses, self.remedy or "")


class EngineUnavailableError(BuildFailedError):
    """No Docker Engine answers, or it stopped answering during a build."""


class InterruptedBuildError(BuildFailedError):
    """A signal stopped the build; nothing half-written is left."""

    exit_code = EXIT_INTERRUPTED


def first_problem(error: ValidationError) -> tuple[str, str]:
    """Where and what the first mistake is that pydantic found: ``allow[0].reason``, a sentence.

    The place is empty where the whole document is meant; the sentence has no full stop.
    """
    first = error.errors(include_url=False)[0]
    place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in first["loc"])
    return place.removeprefix("."), _in_words(first)


def _in_words(problem: ErrorDetails) -> str:
    match problem["type"]:
        case "extra_forbidden":
            return "this key is unknown"
        case "missing":
            return "this key is missing"
        case "string_too_short":
            return f"the text has fewer than {problem['ctx']['min_length']} characters"
    return problem["msg"].removeprefix("Value error, ").rstrip(".")
