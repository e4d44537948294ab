"""Prices a plan: asks the sources for their units, and earlier records for what builds took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from smforge.bake.host.settings import HostSettings
from smforge.bake.inputs.externals import default_store
from smforge.plan.records import Plan
from smforge.preflight.cache import Cache, default_directory
from smforge.preflight.cell import Circumstances
from smforge.publish.outputs import find_outputs
from smforge.sigterm import ended_tidily
from smforge.workflow.building.savings import measured
from smforge.workflow.cost.means import Means
from smforge.workflow.cost.price import Last, PlanCost, price
from smforge.workflow.cost.units import contents_of


def cost_of(  # noqa: PLR0913  # what the command line says
    plan: Plan,
    root: Path,
    host: HostSettings,
    *,
    means: Means,
    records: Sequence[Path],
    announce: Callable[[str], None],
) -> PlanCost:
    """Price a plan; `root` is the checkout, `records` are outputs of earlier builds.

    Raises what `find_outputs` raises for folders in which nothing passed.
    """
    cache = Cache(default_directory())
    circumstances = Circumstances(root, cache, host.checkouts, announce=announce)
    with ended_tidily():
        contents, failed = contents_of(plan.cells, circumstances, default_store())
    return price(plan.cells, contents, failed, means, _last_builds(records))


def _last_builds(records: Sequence[Path]) -> dict[str, Last]:
    found = {}
    for output in find_outputs(records) if records else ():
        one = measured(output)
        name = f"{one.variant}-{one.platform.replace('/', '-')}"
        found[name] = Last(one.seconds, one.wheels, output.record.cost)
    return found
