"""Takes into a draft what vLLM's own build description asks for: projects, torch and FlashInfer.

The sources of the release are configured as preflight does it, with the lists of the variants, and
what CMake would fetch is read from its trace.
"""

from __future__ import annotations

import re
from typing import Any

from packaging.specifiers import SpecifierSet

from smforge.arch.platforms import PROCESSORS
from smforge.arch.target import Suffix
from smforge.arch.toolkits import toolkit
from smforge.bake.inputs.git_sources import commit_of_tag
from smforge.errors import BuildFailedError, ConfigurationError
from smforge.matrix.lookup import lists_of
from smforge.preflight.configure import configure
from smforge.preflight.pins import same_repository
from smforge.preflight.probe.torch_flags import parse
from smforge.preflight.records import Configuration, External
from smforge.preflight.request import Request
from smforge.preflight.sources.fetch import fetch_sdist
from smforge.preflight.sources.tree import open_source
from smforge.workflow.bumping.components import take_component
from smforge.workflow.bumping.draft import Draft, Means
from smforge.workflow.bumping.torches import take_required_torch

_COMMIT = re.compile(r"[0-9a-f]{40}\Z")


def take_vllm(draft: Draft, means: Means, wanted: str | None) -> None:
    """Take a release of vLLM, with the projects, the torch and the FlashInfer that it asks for.

    Raises `UsageError` where no index has one of these, and what a preflight of its sources raises.
    """
    take_component(draft, means, "vllm", wanted)
    version = draft.sources["vllm"]["version"]
    title = f"vllm {version}"
    configurations = _configured(draft, means, version)
    _take_projects(draft, means, title, configurations)
    required = _required(configurations)
    if (torch := required.get("torch")) is not None:
        take_required_torch(draft, means, torch, title)
    flashinfer = required.get("flashinfer-python")
    both = any(one.components.flashinfer for _, one in draft.variants_with("vllm"))
    if flashinfer is not None and both and flashinfer != draft.sources["flashinfer"]["version"]:
        take_component(draft, means, "flashinfer", flashinfer)


def _configured(draft: Draft, means: Means, version: str) -> list[Configuration]:
    """The build description with the lists of all variants, without those that it refuses."""
    source = draft.sources["vllm"]
    archive = next((name for name in source["files"] if name.endswith(".tar.gz")), None)
    if archive is None:
        raise ConfigurationError(
            f"{draft.path}: $.sources.vllm.files names no source archive, which the pins are read "
            "from.",
            remedy="Add the .tar.gz of the release.",
        )
    means.announce(f"reading the sources of vllm {version}")
    sdists = means.cache.directory / "sdists"
    tree = open_source(fetch_sdist("vllm", version, sdists, source["files"][archive]))
    found: list[Configuration] = []
    for (cuda, processor), lists in _lists(draft).items():
        requests = [Request(tree, cuda, parse(one), processor=processor) for one in lists]
        found += configure(requests, means.cache)
    made = [one for one in found if one.refusal is None]
    if not made:
        reason = found[0].refusal.message if found[0].refusal else ""
        raise ConfigurationError(
            f"The sources of vllm {version} refuse the list {found[0].archs} with CUDA "
            f"{found[0].cuda}: {reason}",
            remedy="Change the lists or the toolkits of the variants first.",
        )
    return made


def _lists(draft: Draft) -> dict[tuple[str, str], list[str]]:
    """Per CUDA release and CPU the lists of the variants, each once.

    Where no variant compiles vLLM it is the list of all that the first toolkit knows.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for _, variant in draft.variants_with("vllm"):
        cuda = draft.toolkits[variant.toolkit]["cuda"]
        archs = dict(lists_of(variant.components)).get("vllm", {})  # none where it is published
        for platform, words in archs.items():
            lists = found.setdefault((cuda, PROCESSORS[platform]), [])
            if (text := " ".join(words)) not in lists:
                lists.append(text)
    if not found:
        cuda = next(iter(draft.toolkits.values()))["cuda"]
        plain = [str(one) for one in toolkit(cuda).targets if one.suffix is Suffix.PLAIN]
        found[cuda, next(iter(PROCESSORS.values()))] = [" ".join(plain)]
    return found


def _required(configurations: list[Configuration]) -> dict[str, str]:
    """The distributions that the sources pin to one version, and that version."""
    found: dict[str, str] = {}
    for one in (required for each in configurations for required in each.required):
        specifiers = [*SpecifierSet(one.specifier)]
        if len(specifiers) == 1 and specifiers[0].operator == "==":
            found.setdefault(one.distribution, specifiers[0].version)
    return found


def _take_projects(
    draft: Draft, means: Means, title: str, configurations: list[Configuration]
) -> None:
    """Make the externals those that CMake fetches; what stands in for one that is gone goes too."""
    fetched = {one.name: one for each in reversed(configurations) for one in each.fetched}
    source = draft.sources["vllm"]
    before: dict[str, Any] = source.get("externals", {})
    names = [name for name in before if name in fetched]
    new = [name for name in fetched if name not in before]
    names = sorted([*names, *new]) if list(before) == sorted(before) else [*names, *new]
    after = {name: _project(draft, means, before.get(name), fetched[name]) for name in names}
    if after or before:
        source["externals"] = after
    for name in new:
        draft.remarks.append(
            f"{title} fetches {name}, which is new: every extension is taken to need it. Name "
            f"those that do in sources.vllm.externals.{name}.extensions."
        )
    for name in before.keys() - fetched.keys():
        _take_out(draft, title, name)


def _project(
    draft: Draft, means: Means, before: dict[str, Any] | None, fetched: External
) -> dict[str, Any]:
    """The entry of a project: what it was, with the place and the revision that CMake names."""
    where = f"sources.vllm.externals.{fetched.name}"
    if before is not None and before["kind"] != "git":
        draft.remarks.append(
            f"{where} is {before['kind']}, so it was left as it is; the sources ask for "
            f"{fetched.revision or fetched.repository}."
        )
        return before
    if fetched.revision is None or fetched.repository is None:
        draft.remarks.append(f"{where} has no revision in the sources: write it by hand.")
        return before or {"kind": "git", "url": fetched.repository, "commit": None}
    after = dict(before or {"kind": "git", "url": fetched.repository, "commit": None})
    if not same_repository(after["url"], fetched.repository):
        after["url"] = fetched.repository
    if fetched.submodules:
        after["submodules"] = list(fetched.submodules)
    if _COMMIT.match(fetched.revision):
        after["commit"] = fetched.revision
        after.pop("tag", None)
        after.pop("secondary", None)
    elif after.get("tag") != fetched.revision or after["commit"] is None:
        after["tag"] = fetched.revision
        after["commit"] = _looked_up(draft, means, where, after)
        after.pop("secondary", None)
    order = [*(before or ()), "kind", "url", "commit", "tag", "submodules"]
    return {key: after[key] for key in dict.fromkeys(order) if key in after}


def _looked_up(draft: Draft, means: Means, where: str, entry: dict[str, Any]) -> str | None:
    """The commit of a tag in its repository; None, with a remark, where that cannot be known."""
    tag, url = entry["tag"], entry["url"]
    means.announce(f"asking {url} for the commit of {tag}")
    try:
        commit = commit_of_tag(url, tag, means.origin)
        reason = f"{url} has no tag {tag}"
    except BuildFailedError as error:
        commit, reason = None, error.message.rstrip(".")
    if commit is None:
        draft.remarks.append(
            f"{where}.commit is null, because the commit of {tag} could not be looked up: "
            f"{reason}. Nothing that needs it is built until it is written there."
        )
    return commit


def _take_out(draft: Draft, title: str, name: str) -> None:
    """Take out what stands in for a project that is no longer fetched, and what asks for that."""
    draft.remarks.append(f"{title} does not fetch {name} any more: it was taken out.")
    stand_ins = draft.sources["vllm"].get("stand_ins", {})
    if stand_ins.pop(name, None) is None:
        return
    for variant, _ in draft.variants_with("vllm"):
        settings = draft.content["variants"][variant]["components"]["vllm"]
        if name in settings.get("stand_ins", ()):
            settings["stand_ins"] = [one for one in settings["stand_ins"] if one != name]
