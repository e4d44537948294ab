"""What a cell is expected to cost when it is built now, by a builder whose jobs are known."""

from __future__ import annotations

from smforge.bake.cost_record import ExpectedCost
from smforge.bake.inputs.externals import default_store
from smforge.plan.records import Cell
from smforge.preflight.cell import Circumstances
from smforge.workflow.cost.means import this_host
from smforge.workflow.cost.price import price
from smforge.workflow.cost.units import contents_of


def expected_cost(cell: Cell, circumstances: Circumstances, jobs: int) -> ExpectedCost | None:
    """Price a cell from the units that preflight has listed; None where nothing has a price.

    `jobs` is how many compilers the builder runs at once.
    """
    contents, failed = contents_of((cell,), circumstances, default_store())
    (cost,) = price((cell,), contents, failed, this_host(), {}).cells
    seconds = cost.seconds
    if not seconds.high:
        return None
    longest = cost.priced.longest
    return ExpectedCost(
        passes=cost.priced.passes,
        cpu_seconds=(round(seconds.low, 1), round(seconds.high, 1)),
        jobs=jobs,
        wall_seconds=(round(seconds.low / jobs, 1), round(max(seconds.high / jobs, longest), 1)),
        not_in_it=cost.not_known,
    )
