"""An iterator in one process, made of stages; where it takes its items from may be elsewhere.

A source that polls is asked with a timeout and passes on ``_NextValueNotReady`` when nothing has
come.  Stages let it through, and only a union of several sources looks at it: it goes on to the
next source.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import paralab
from paralab.call_names import noting_names, of_items
from paralab.engine import current
from paralab.util.iter_metrics import MetricsContext, SharedMetrics

T = TypeVar("T")
U = TypeVar("U")
Stage = Callable[[Iterator[Any]], Iterator[Any]]


class _NextValueNotReady(Exception):
    """In place of an item: none was ready in time."""


def _is_item(value: object) -> bool:
    return not isinstance(value, _NextValueNotReady)


class LocalIterator(Generic[T]):
    """A chain of stages; an iterator, so its items are taken once.

    Args:
        base_iterator: a function of a timeout (None: wait) that gives the items of the source.
        shared_metrics: what the stages note.
        local_transforms: the stages, each from an iterator to an iterator.
        timeout: for the source.
        name: is shown.
    """

    ON_FETCH_START_HOOK_NAME = "_on_fetch_start"
    """A stage's function with a method of this name has it called before the next item is asked."""
    thread_local = threading.local()

    def __init__(
        self,
        base_iterator: Callable[..., Iterable[Any]],
        shared_metrics: SharedMetrics,
        local_transforms: list[Stage] | None = None,
        timeout: float | None = None,
        name: str | None = None,
    ) -> None:
        assert isinstance(shared_metrics, SharedMetrics)
        self.base_iterator = base_iterator
        self.shared_metrics = shared_metrics
        self.local_transforms = local_transforms or []
        self.timeout = timeout
        self.name = name or "unknown"
        self.built_iterator: Iterator[Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "built_iterator": None}

    @staticmethod
    def get_metrics() -> MetricsContext:
        """The context of the chain whose stage is at work in this thread.

        Raises:
            ValueError: none is.
        """
        metrics: MetricsContext | None = getattr(LocalIterator.thread_local, "metrics", None)
        if metrics is None:
            raise ValueError("Cannot access context outside an iterator.")
        return metrics

    @contextmanager
    def _metrics_context(self) -> Iterator[None]:
        before = getattr(self.thread_local, "metrics", None)
        self.thread_local.metrics = self.shared_metrics.get()
        try:
            yield
        finally:
            self.thread_local.metrics = before

    def _build_once(self) -> Iterator[Any]:
        if self.built_iterator is None:
            iterator = iter(self.base_iterator(self.timeout))
            for stage in self.local_transforms:
                iterator = stage(iterator)
            self.built_iterator = iterator
        return self.built_iterator

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        iterator = self._build_once()
        with self._metrics_context():
            item: T = next(iterator)
        return item

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"LocalIterator[{self.name}]"

    def _with(self, stage: Stage, name: str) -> LocalIterator[Any]:
        return LocalIterator(
            self.base_iterator,
            self.shared_metrics,
            [*self.local_transforms, stage],
            self.timeout,
            self.name + name,
        )

    # -- stages ------------------------------------------------------------------------------

    def transform(self, fn: Callable[[Iterator[T]], Iterator[U]]) -> LocalIterator[U]:
        """Any function from an iterator to an iterator."""
        return self._with(lambda items: iter(fn(items)), ".transform()")

    def for_each(
        self,
        fn: Callable[[T], U],
        max_concurrency: int = 1,
        resources: dict[str, Any] | None = None,
    ) -> LocalIterator[U]:
        """``fn(item)`` for each item.

        Args:
            max_concurrency: above 1, so many tasks call ``fn`` at a time, and their results come
                in any order; 0 is no limit.
            resources: options of these tasks, as of ``remote``.
        """
        if max_concurrency == 1:

            def apply(items: Iterator[Any]) -> Iterator[Any]:
                start = getattr(fn, self.ON_FETCH_START_HOOK_NAME, None)
                while True:
                    if start is not None:
                        start()
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                    yield fn(item) if _is_item(item) else item

            return self._with(apply, ".for_each()")
        if max_concurrency < 0:
            raise ValueError(f"max_concurrency must not be negative, not {max_concurrency!r}.")
        remote: Any = paralab.remote(**resources)(fn) if resources else paralab.remote(fn)

        name = remote._options.name or remote._spec.name

        def apply_beside(items: Iterator[Any]) -> Iterator[Any]:
            running: list[Any] = []
            note, numbers = noting_names(current()), itertools.count()
            for item in items:
                if not _is_item(item):
                    yield item
                    continue
                ref = remote.remote(item)
                running.append(ref)
                note((ref._entry.key, of_items(name, next(numbers), 1)))
                if len(running) == max_concurrency:
                    (done,), running = paralab.wait(running)
                    yield paralab.get(done)
            while running:
                (done,), running = paralab.wait(running)
                yield paralab.get(done)

        return self._with(apply_beside, ".for_each()")

    def filter(self, fn: Callable[[T], bool]) -> LocalIterator[T]:
        """The items for which ``fn(item)`` is true."""
        return self._with(
            lambda items: (each for each in items if not _is_item(each) or fn(each)), ".filter()"
        )

    def batch(self, n: int) -> LocalIterator[list[T]]:
        """Lists of ``n`` items; the last one may be shorter."""

        def apply(items: Iterator[Any]) -> Iterator[Any]:
            batch: list[Any] = []
            for item in items:
                if not _is_item(item):
                    yield item
                    continue
                batch.append(item)
                if len(batch) >= n:
                    yield batch
                    batch = []
            if batch:
                yield batch

        return self._with(apply, f".batch({n})")

    def flatten(self) -> LocalIterator[Any]:
        """The items of items that are lists."""

        def apply(items: Iterator[Any]) -> Iterator[Any]:
            for item in items:
                if _is_item(item):
                    yield from item
                else:
                    yield item

        return self._with(apply, ".flatten()")

    def combine(self, fn: Callable[[T], list[U]]) -> LocalIterator[U]:
        """The items of the lists ``fn(item)``."""
        combined = self.for_each(fn).flatten()
        combined.name = self.name + ".combine()"
        return combined

    def shuffle(self, shuffle_buffer_size: int, seed: int | None = None) -> LocalIterator[T]:
        """The items in an order that is random within a window.

        Args:
            shuffle_buffer_size: how many items to choose the next one from.
            seed: of the random numbers.
        """
        chooser = random.Random(seed)  # noqa: S311

        def apply(items: Iterator[Any]) -> Iterator[Any]:
            buffer: list[Any] = []
            for item in items:
                if not _is_item(item):
                    yield item
                    continue
                buffer.append(item)
                if len(buffer) >= shuffle_buffer_size:
                    yield buffer.pop(chooser.randrange(len(buffer)))
            while buffer:
                yield buffer.pop(chooser.randrange(len(buffer)))

        size = f"shuffle_buffer_size={shuffle_buffer_size}"
        return self._with(apply, f".shuffle({size}, seed={seed!s})")

    def zip_with_source_actor(self) -> LocalIterator[tuple[Any, T]]:
        """Pairs of the actor that made an item, and the item."""

        def zip_with_source(item: Any) -> tuple[Any, Any]:
            return LocalIterator.get_metrics().current_actor, item

        zipped = self.for_each(zip_with_source)
        zipped.name = self.name + ".zip_with_source_actor()"
        return zipped

    # -- the end of a chain ------------------------------------------------------------------

    def take(self, n: int) -> list[T]:
        """The next ``n`` items, or as many as there are."""
        taken: list[T] = []
        for item in self:
            taken.append(item)
            if len(taken) >= n:
                break
        return taken

    def show(self, n: int = 20) -> None:
        """Prints the next ``n`` items."""
        for count, item in enumerate(self, 1):
            print(item)  # noqa: T201
            if count >= n:
                break

    # -- several -----------------------------------------------------------------------------

    def duplicate(self, n: int) -> list[LocalIterator[T]]:
        """``n`` iterators over the same items; what one has taken is kept for the others.

        Raises:
            ValueError: ``n`` is below 2.
        """
        if n < 2:
            raise ValueError("Number of copies must be >= 2")
        queues: list[deque[Any]] = [deque() for _ in range(n)]

        def items(queue: deque[Any]) -> Callable[..., Iterator[Any]]:
            def take(_timeout: float | None = None) -> Iterator[Any]:
                while True:
                    if not queue:
                        try:
                            item = next(self)
                        except StopIteration:
                            return
                        for each in queues:
                            each.append(item)
                    yield queue.popleft()

            return take

        return [
            LocalIterator(items(queue), self.shared_metrics, name=f"{self.name}.duplicate[{i}]")
            for i, queue in enumerate(queues)
        ]

    def union(
        self,
        *others: LocalIterator[T],
        deterministic: bool = False,
        round_robin_weights: list[Any] | None = None,
    ) -> LocalIterator[T]:
        """The items of several iterators, in turn.

        Args:
            deterministic: wait for each iterator's next item instead of passing over one that has
                none ready.
            round_robin_weights: how many items to take of each at a time; ``"*"`` is as many as
                are ready.

        Raises:
            ValueError: another one is no LocalIterator, or there are not as many weights.
        """
        for other in others:
            if not isinstance(other, LocalIterator):
                raise ValueError(  # noqa: TRY004 (the documented type)
                    f"other must be of type LocalIterator, got {type(other)}"
                )
        sources = [self, *others]
        weights = round_robin_weights or [1] * len(sources)
        if len(weights) != len(sources):
            raise ValueError(
                "Length of round robin weights must equal number of iterators total: "
                f"{len(weights)} for {len(sources)}."
            )
        poll = None if deterministic else 0
        metrics = SharedMetrics(parents=[source.shared_metrics for source in sources])
        parts = [
            LocalIterator(source.base_iterator, metrics, source.local_transforms, poll, source.name)
            if source.built_iterator is None
            else source
            for source in sources
        ]

        def items(timeout: float | None = None) -> Iterator[Any]:
            active = list(zip(weights, parts, strict=True))
            while active:
                for entry in list(active):
                    weight, part = entry
                    left = None if weight == "*" else _whole(weight)
                    while left is None or left > 0:
                        try:
                            item = next(part)
                        except StopIteration:
                            active.remove(entry)
                            break
                        if not _is_item(item):
                            if timeout is not None:
                                yield item
                            break
                        yield item
                        left = None if left is None else left - 1

        shown = ", ".join(map(str, sources))
        return LocalIterator(items, metrics, name=f"LocalUnion[{shown}]")


def _whole(weight: float) -> int:
    """A whole number that is ``weight`` on average."""
    base = int(weight)
    return base + (random.random() < weight - base)  # noqa: S311
