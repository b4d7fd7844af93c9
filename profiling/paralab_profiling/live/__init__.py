"""Views that are kept up to date while tasks run.

::

    session ──survey("news")──▶ Watcher (a thread) ──▶ Watched (pure) ──differences──▶ widget
                                                              └──▶ lines of a terminal

A survey makes every process look through its own tables, so how often one is made, at most 10
times a second, follows from what the last one cost.  What is sent are differences; a page that
comes late asks for the whole.
"""

from paralab_profiling.live.cluster import ClusterState, cluster
from paralab_profiling.live.cost import LiveCost, LiveCosts, live_cost
from paralab_profiling.live.progress import progress
from paralab_profiling.live.view import LiveView, live

__all__ = [
    "ClusterState",
    "LiveCost",
    "LiveCosts",
    "LiveView",
    "cluster",
    "live",
    "live_cost",
    "progress",
]
