"""The actor that has one shard."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from paralab.util.iter.local import LocalIterator
from paralab.util.iter_metrics import SharedMetrics

Transform = Callable[[LocalIterator[Any]], LocalIterator[Any]]


class ParallelIteratorWorker:
    """Makes the items of one shard and runs the stages on them.

    A class of one's own that is to be a source of a parallel iterator (``from_actors``) inherits
    from this one.

    Args:
        item_generator: an iterable, or a function that returns one.
        repeat: whether to start over at its end.
    """

    def __init__(self, item_generator: Any, repeat: bool) -> None:
        make = item_generator if callable(item_generator) else lambda: item_generator

        def items(_timeout: float | None = None) -> Iterator[Any]:
            yield from make()
            while repeat:
                yield from make()

        self.item_generator: Callable[..., Iterable[Any]] = items
        self.transforms: list[Transform] = []
        self.local_it: LocalIterator[Any] | None = None
        self.next_ith_buffer: dict[int, deque[Any]] = defaultdict(deque)
        """Items for each taker of a slice: from when another one has come upon them."""

    def par_iter_init(self, transforms: list[Transform]) -> None:
        """Starts over, with these stages."""
        iterator: LocalIterator[Any] = LocalIterator(self.item_generator, SharedMetrics())
        for transform in transforms:
            iterator = transform(iterator)
        self.transforms = transforms
        self.local_it = iterator
        self.next_ith_buffer.clear()

    def par_iter_next(self) -> Any:
        """The next item.

        Raises:
            StopIteration: there is none.
        """
        assert self.local_it is not None, "par_iter_init comes first"
        return next(self.local_it)

    def par_iter_next_batch(self, batch_ms: float) -> list[Any]:
        """The items of the next ``batch_ms`` milliseconds, at least one.

        Raises:
            StopIteration: there is none.
        """
        return self._batch(self.par_iter_next, batch_ms)

    def par_iter_slice(self, step: int, start: int) -> Any:
        """The next of the items number ``start``, ``start + step``, and so on.

        Several callers share one pass over the items, each with a ``start`` of its own.

        Raises:
            StopIteration: there is none.
        """
        buffer = self.next_ith_buffer
        if not buffer[start]:
            for index in range(step):
                try:
                    buffer[index].append(self.par_iter_next())
                except StopIteration:
                    break
        if not buffer[start]:
            raise StopIteration
        return buffer[start].popleft()

    def par_iter_slice_batch(self, step: int, start: int, batch_ms: float) -> list[Any]:
        """As :meth:`par_iter_slice`, for ``batch_ms`` milliseconds."""
        return self._batch(lambda: self.par_iter_slice(step, start), batch_ms)

    @staticmethod
    def _batch(take: Callable[[], Any], batch_ms: float) -> list[Any]:
        end = time.perf_counter() + batch_ms / 1000
        batch = [take()]
        while time.perf_counter() < end:
            try:
                batch.append(take())
            except StopIteration:
                break
        return batch
