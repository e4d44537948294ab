"""The jobs as a table in Markdown, for the summary of the job that checks the plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smforge.plan.choices import Choices, Runner
from smforge.plan.jobs import Job, jobs
from smforge.plan.pipelines.services import labels, machine
from smforge.plan.records import Plan


def overview(plan: Plan, choices: Choices = Choices()) -> str:  # noqa: B008 - frozen
    """Every cell with its machine, and a sentence that names those for which hosted ones are
    too small.
    """
    return "\n".join(_lines(jobs(plan, choices), choices)) + "\n"


def _lines(every: Sequence[Job], choices: Choices) -> Iterator[str]:
    cells = [job for job in every if job.variant is not None]
    yield f"## {len(cells)} {'cell' if len(cells) == 1 else 'cells'}"
    yield ""
    yield "| cell | machine | runner on GitHub | queue on Buildkite | image | hours at most |"
    yield "|---|---|---|---|---|--:|"
    for job in cells:
        where = (_shown(labels(job, choices, service)) for service in ("github", "buildkite"))
        image = "yes" if job.image else "no"
        hours = machine(job)["timeout_minutes"] / 60
        yield f"| {job.label} | {job.runner} | {' | '.join(where)} | {image} | {hours:g} |"
    yield ""
    for job in cells:
        if job.after:
            yield (
                f"{job.label} waits for {', '.join(job.after)}: what both compile is then in the "
                "compile cache that the jobs share."
            )
            yield ""
    large = [job.label for job in cells if job.runner is Runner.LARGE]
    if large:
        yield (
            f"Too large for the common runners of a CI service: {', '.join(large)}. Each needs a "
            "machine of its own with the labels above; `smforge matrix --runner` sets others."
        )
    else:
        yield "Every cell fits on the common runners of a CI service."


def _shown(found: Sequence[str] | str) -> str:
    return f"`{found if isinstance(found, str) else ', '.join(found)}`"
