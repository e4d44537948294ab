"""A workflow of GitHub Actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from smforge.plan.choices import Choices, WheelIndex
from smforge.plan.jobs import PROGRAM, Job, jobs
from smforge.plan.pipelines.services import header, labels, machine, services, taking
from smforge.plan.pipelines.yaml_text import yaml_text
from smforge.plan.records import Plan

_KEEP_DAYS = 14
_VERDICT = "verdict"
_ON_HOSTED = "runner.environment == 'github-hosted'"
_SETTINGS = ("CACHE_FROM", "CACHE_TO", "SMFORGE_SCCACHE")
"""Caches of layers and of compilations, as variables of the repository; empty means none."""


def github(plan: Plan, choices: Choices = Choices()) -> str:  # noqa: B008 - frozen
    """A workflow. The job `verdict` is the one to require: it passes when all cells do."""
    every = jobs(plan, choices)
    document = {
        "name": "release",
        "on": {"workflow_dispatch": None, "push": {"tags": ["v*"]}},
        "permissions": {"contents": "read"},
        # A second push of a tag waits, because two builds of one cell would disturb each other's
        # cache.
        "concurrency": {"group": "release-${{ github.ref }}", "cancel-in-progress": False},
        "defaults": {"run": {"shell": "bash"}},
        "jobs": {
            **{job.key: _job(job, choices) for job in every},
            _VERDICT: _verdict(every, choices),
            **dict(_wheel_index(every, choices)),
            **dict(_publish(every, choices)),
        },
    }
    text = yaml_text(document)
    for action in services()["actions"].values():
        text = text.replace(action["uses"], f"{action['uses']}  # {action['version']}")
    return header("github", choices) + text


def _job(job: Job, choices: Choices) -> dict[str, Any]:
    document: dict[str, Any] = {"name": job.label}
    if job.needs:
        document["needs"] = [*job.needs, *job.after]
    if job.after:
        # By default a job is left out where one that it waits for has failed.
        passed = " && ".join(f"needs.{one}.result == 'success'" for one in job.needs)
        document["if"] = f"!cancelled() && {passed}"
    document |= {
        "runs-on": labels(job, choices, "github"),
        "timeout-minutes": machine(job)["timeout_minutes"],
    }
    if job.variant:
        document["permissions"] = {
            "contents": "read",
            "security-events": "write",
            **_rights(choices, "write"),
        }
        document["env"] = {name: f"${{{{ vars.{name} }}}}" for name in _SETTINGS}
    return document | {
        "steps": [
            _checkout(),
            *(_preparation() if job.variant else ()),
            {"name": "Set up", "run": "make setup"},
            *(_store_login(choices) if job.variant else ()),
            {"name": "Build" if job.variant else "Plan", "run": "\n".join(job.commands)},
            {
                "name": "Sum up",
                "if": f"!cancelled() && hashFiles('{job.summary}') != ''",
                "run": f'cat {job.summary} >> "$GITHUB_STEP_SUMMARY"',
            },
            *_code_scanning(job),
            *_keep(job, choices),
        ],
    }


def _checkout() -> dict[str, Any]:
    return {"uses": _action("checkout"), "with": {"persist-credentials": False}}


def _action(name: str) -> str:
    uses: str = services()["actions"][name]["uses"]
    return uses


def _room() -> dict[str, Any]:
    """The step that removes what no job uses from the disk of GitHub's runners."""
    removed = " ".join(services()["github_hosted"]["removes"])
    return {"name": "Free the disk", "if": _ON_HOSTED, "run": f"sudo rm -rf {removed}\ndf -h /"}


def _preparation() -> Iterator[dict[str, Any]]:
    """What a runner of GitHub's lacks: room on the disk, and what makes a base."""
    yield _room()
    packages = " ".join(services()["github_hosted"]["packages"])
    install = f"sudo apt-get install -qq -y {packages}"
    yield {
        "name": "Install",
        "if": _ON_HOSTED,
        "run": f"sudo apt-get update -qq\n{install}",
    }


def _code_scanning(job: Job) -> Iterator[dict[str, Any]]:
    """Where code scanning is off, GitHub refuses the findings: so a variable turns this on."""
    if job.sarif:
        wanted = f"!cancelled() && vars.CODE_SCANNING == 'true' && hashFiles('{job.sarif}') != ''"
        yield {
            "name": "Show the findings",
            "if": wanted,
            "uses": _action("sarif"),
            "with": {"sarif_file": job.sarif, "category": job.key},
        }


def _keep(job: Job, choices: Choices) -> Iterator[dict[str, Any]]:
    """Keep what the job made; the image apart, since the index of wheels needs no gigabytes.

    What has passed is in the store where there is one; reports and logs are kept in any case.
    """
    apart = job.image if choices.store is None else None
    paths = [*job.artifacts, *([f"!{apart}/**"] if apart else [])]
    yield _upload("Keep", job.key, "\n".join(paths), "always()")
    if apart:
        yield _upload("Keep the image", f"{job.key}-image", apart, "success()")


def _upload(name: str, artefact: str, path: str, condition: str) -> dict[str, Any]:
    return {
        "name": name,
        "if": condition,
        "uses": _action("upload"),
        "with": {
            "name": artefact,
            "path": path,
            "if-no-files-found": "warn",
            "retention-days": _KEEP_DAYS,
            # Wheels and layers are compressed already.
            "compression-level": 0,
        },
    }


def _verdict(every: Sequence[Job], choices: Choices) -> dict[str, Any]:
    return {
        "name": _VERDICT,
        "needs": [job.key for job in every],
        # Without this a failed job would skip the verdict, and skipped counts as passed.
        "if": "always()",
        "runs-on": labels(every[0], choices, "github"),
        "timeout-minutes": 5,
        "permissions": {},
        "steps": [
            {
                "name": "Every cell built and passed its audit",
                "env": {"RESULTS": "${{ join(needs.*.result, ' ') }}"},
                "run": 'for result in $RESULTS; do\n  test "$result" = success\ndone',
            }
        ],
    }


def _store_host(choices: Choices) -> str | None:
    """The registry of the store; None where there is none, or the store is a directory."""
    scheme, colon, name = (choices.store or "").partition(":")
    return name.partition("/")[0] if colon and scheme == "registry" else None


def _rights(choices: Choices, right: str) -> dict[str, str]:
    """The right to GitHub's own registry, which a store may be in."""
    return {"packages": right} if _store_host(choices) else {}


def _permissions(choices: Choices) -> dict[str, Any]:
    """The rights of a job that reads from the store; without a store, the workflow's."""
    rights = _rights(choices, "read")
    return {"permissions": {"contents": "read", **rights}} if rights else {}


def _store_login(choices: Choices) -> Iterator[dict[str, Any]]:
    host = _store_host(choices)
    if host is not None:
        yield _login("Log in to the store", host, "STORE")


def _login(name: str, registry: str, prefix: str) -> dict[str, Any]:
    """The step that logs in with ``PREFIX_USER`` and ``PREFIX_PASSWORD``, else as GitHub's own."""
    return {
        "name": name,
        "uses": _action("login"),
        "with": {
            "registry": registry,
            "username": f"${{{{ vars.{prefix}_USER || github.actor }}}}",
            "password": f"${{{{ secrets.{prefix}_PASSWORD || github.token }}}}",
        },
    }


def _fetch(
    jobs_of_cells: Sequence[Job], choices: Choices, *, images: bool
) -> Iterator[dict[str, Any]]:
    """Steps that put what the jobs made where they had it."""
    if choices.store:
        yield from _store_login(choices)
        yield {"name": "Take from the store", "run": taking(choices, jobs_of_cells)}
        return
    for job in jobs_of_cells:
        folder = f"out/{job.variant}"
        yield _download(job.key, folder)
        if images and job.image:
            yield _download(f"{job.key}-image", job.image)


def _download(artefact: str, path: str) -> dict[str, Any]:
    return {"uses": _action("download"), "with": {"name": artefact, "path": path}}


def _wheel_index(every: Sequence[Job], choices: Choices) -> Iterator[tuple[str, dict[str, Any]]]:
    """The job that makes an index of all wheels once every cell has passed."""
    if choices.index is WheelIndex.NONE:
        return
    pages = choices.index is WheelIndex.PAGES
    kept = (
        {"uses": _action("pages"), "with": {"path": "whl"}}
        if pages
        else _upload("Keep", "wheel-index", "whl", "success()")
    )
    yield (
        "index",
        {
            "name": "wheel index",
            "needs": [_VERDICT],
            "runs-on": labels(every[0], choices, "github"),
            "timeout-minutes": 60,
            **_permissions(choices),
            "steps": [
                _checkout(),
                {"name": "Set up", "run": "make setup"},
                *_fetch([job for job in every if job.variant], choices, images=False),
                {"name": "Index", "run": f"{PROGRAM} index out --to whl"},
                kept,
            ],
        },
    )
    if pages:
        yield (
            "pages",
            {
                "name": "wheel index on Pages",
                "needs": ["index"],
                "runs-on": labels(every[0], choices, "github"),
                "timeout-minutes": 30,
                "permissions": {"pages": "write", "id-token": "write"},
                "environment": "github-pages",
                "steps": [{"name": "Deploy", "uses": _action("deploy")}],
            },
        )


def _publish(every: Sequence[Job], choices: Choices) -> Iterator[tuple[str, dict[str, Any]]]:
    """The job that pushes the images of a tag, once every cell has passed and a person agrees."""
    cells = [job for job in every if job.image]
    if not cells:
        return
    yield (
        "publish",
        {
            "name": "images",
            "needs": [_VERDICT],
            "if": "startsWith(github.ref, 'refs/tags/') && vars.IMAGE_REPOSITORY != ''",
            "runs-on": labels(every[0], choices, "github"),
            "timeout-minutes": 360,
            "permissions": {"contents": "read", "packages": "write"},
            # Its protection rules say who has to agree.
            "environment": "images",
            "steps": [
                _checkout(),
                _room(),
                {"name": "Set up", "run": "make setup"},
                *_fetch(cells, choices, images=True),
                _login("Log in", "${{ vars.IMAGE_REGISTRY || 'ghcr.io' }}", "IMAGE"),
                {
                    "name": "Publish",
                    "env": {"REPOSITORY": "${{ vars.IMAGE_REPOSITORY }}"},
                    "run": f'{PROGRAM}{choices.config_flag} publish out --to "$REPOSITORY"',
                },
            ],
        },
    )
