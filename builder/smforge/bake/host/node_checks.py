"""The checks of a builder's nodes: state, space, cache, collection policy, cores and memory.

What is not known of a node that is not on this host is said to be unknown.
"""

from __future__ import annotations

from dataclasses import replace

from smforge.bake.host.builders import cache_sizes
from smforge.bake.host.engine import Engine, Machine
from smforge.bake.host.findings import GIB, Finding, State, needs, space


def nodes(engine: Engine | None) -> Finding:
    """The nodes with their platforms and state."""
    machines = engine.machines if engine is not None else ()
    if not machines:
        return Finding("builder-nodes", State.OPTIONAL, "not known")
    text = "; ".join(one.node.text for one in machines)
    dead = [one.node.name for one in machines if not one.node.runs]
    if dead and len(dead) < len(machines):
        remedy = f"{', '.join(dead)}: what only they build cannot be built now."
        return Finding("builder-nodes", State.OPTIONAL, text, remedy)
    return Finding("builder-nodes", State.OK, text)


def build_cache(engine: Engine | None) -> Finding:
    """What the cache takes on all nodes."""
    sizes = cache_sizes(engine.builder) if engine is not None else None
    if engine is None or sizes is None:
        return Finding("build-cache", State.OPTIONAL, "not known")
    count = len(engine.machines)
    where = "" if count == 1 else f" on all {count} nodes together"
    return Finding(
        "build-cache", State.OK, f"{sizes[0]}{where}, of which nothing uses {sizes[1]} now"
    )


def collection(engine: Engine | None) -> Finding:
    """What each node keeps, and until when."""
    found = [one.node for one in engine.machines] if engine is not None else []
    rules = [rule for node in found for rule in node.policy]
    if not rules:
        return Finding("build-cache-policy", State.OPTIONAL, "not known")
    policies = {node.name: "; ".join(rule.text for rule in node.policy) or "none" for node in found}
    if len(set(policies.values())) == 1:
        text = next(iter(policies.values()))
    else:
        text = "; ".join(f"{name}: {policy}" for name, policy in policies.items())
    if any(rule.ends_compilations for rule in rules):
        return Finding(
            "build-cache-policy",
            State.OPTIONAL,
            text,
            "Caches of compilations end soon: 'smforge builder init' makes a builder that keeps "
            "them.",
        )
    return Finding("build-cache-policy", State.OK, text)


def engine_disk(engine: Engine | None) -> Finding:
    """Free space where engines keep their data, of the node that has least."""
    name = "engine-disk"
    if engine is None:
        return Finding(name, State.OPTIONAL, "no engine to ask")
    known = [one.disk for one in engine.machines if one.disk is not None]
    unknown = ", ".join(one.node.name for one in engine.machines if one.disk is None)
    if not known:
        return Finding(name, State.OPTIONAL, f"not on this host, so not known: {unknown}")
    least = min(known, key=lambda disk: disk.free_bytes)
    finding = space(name, "engine_free_gib", least.free_bytes, least.folder)
    more = f"; not known of {unknown}" if unknown else ""
    return replace(finding, found=finding.found + more)


def memory(engine: Engine | None) -> Finding:
    """The cores and memory of each node."""
    if engine is None:
        return Finding("memory", State.OPTIONAL, "no engine to ask")
    machines = engine.machines
    text = "; ".join(f"{_amounts(one)} for {one.node.name}" for one in machines)
    known = [one.memory_bytes for one in machines if one.memory_bytes is not None]
    need = needs()["memory_gib"]
    if known and min(known) < need["at_least"] * GIB:
        remedy = f"Give it {need['at_least']} GiB: {need['why']}."
        return Finding("memory", State.LACKING, text, remedy)
    if any(one.memory_bytes is None or one.cores is None for one in machines):
        remedy = "Say what a node has: smforge build --cores N --memory GIB, or --jobs N."
        return Finding("memory", State.OPTIONAL, text, remedy)
    return Finding("memory", State.OK, text)


def _amounts(machine: Machine) -> str:
    memory, cores = machine.memory_bytes, machine.cores
    gib = "unknown memory" if memory is None else f"{memory / GIB:.1f} GiB"
    return f"{gib} and {'an unknown number of' if cores is None else cores} cores"


def image_store(engine: Engine | None) -> Finding:
    """Whether the builder can write images."""
    if engine is None:
        return Finding("image-store", State.OPTIONAL, "no engine to ask")
    if engine.driver != "docker":
        return Finding("image-store", State.OK, f"not needed: {engine.driver} has its own")
    if all(one.containerd_store for one in engine.machines):
        return Finding("image-store", State.OK, "containerd")
    return Finding(
        "image-store",
        State.OPTIONAL,
        "the engine's own",
        "Only for images with attestations, OCI output and cache export: set "
        '{"features": {"containerd-snapshotter": true}} in the engine\'s daemon.json.',
    )
