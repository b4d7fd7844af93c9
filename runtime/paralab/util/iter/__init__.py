"""Parallel iterators: a sequence in shards, each in an actor, with stages that run there.

::

    from_range(8, num_shards=2) ──▶ actor 0: 0 1 2 3 ──for_each──filter──┐
                                    actor 1: 4 5 6 7 ──for_each──filter──┴──▶ gather: one iterator

Nothing is computed until somebody takes items, so sequences may be infinite.  Iterators and their
shards can be passed to tasks and actors.
"""

from __future__ import annotations

from paralab.util.iter.local import LocalIterator, _NextValueNotReady
from paralab.util.iter.parallel import (
    ParallelIterator,
    from_actors,
    from_items,
    from_iterators,
    from_range,
)
from paralab.util.iter.worker import ParallelIteratorWorker

__all__ = [
    "LocalIterator",
    "ParallelIterator",
    "ParallelIteratorWorker",
    "_NextValueNotReady",
    "from_actors",
    "from_items",
    "from_iterators",
    "from_range",
]
