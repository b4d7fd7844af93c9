"""An iterator whose shards are in actors.

Source: the documented behaviour of ``ray.util.iter``, its names and reprs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import paralab
from paralab.call_names import name_of
from paralab.util.iter.local import LocalIterator, _NextValueNotReady
from paralab.util.iter.naming import Asked, printing_as
from paralab.util.iter.worker import ParallelIteratorWorker, Transform
from paralab.util.iter_metrics import SharedMetrics

T = TypeVar("T")
U = TypeVar("U")


def from_items(items: list[T], num_shards: int = 2, repeat: bool = False) -> ParallelIterator[T]:
    """The items of a list, dealt out in turn.

    Raises:
        ValueError: ``num_shards`` is below 1.
    """
    _check_shards(num_shards)
    items = list(items)
    kind = type(items[0]).__name__ if items else "None"
    name = f"from_items[{kind}, {len(items)}, shards={num_shards}{', repeat=True' * repeat}]"
    shards = [items[shard::num_shards] for shard in range(num_shards)]
    return from_iterators(shards, repeat=repeat, name=name)


def from_range(n: int, num_shards: int = 2, repeat: bool = False) -> ParallelIterator[int]:
    """The numbers below ``n``, in runs of ``n // num_shards``; the last shard has the rest too.

    Raises:
        ValueError: ``num_shards`` is below 1.
    """
    _check_shards(num_shards)
    size = n // num_shards
    ends = [size * (shard + 1) for shard in range(num_shards - 1)] + [n]
    shards = [range(size * shard, end) for shard, end in enumerate(ends)]
    name = f"from_range[{n}, shards={num_shards}{', repeat=True' * repeat}]"
    return from_iterators(shards, repeat=repeat, name=name)


def from_iterators(
    generators: Sequence[Iterable[T] | Callable[[], Iterable[T]]],
    repeat: bool = False,
    name: str | None = None,
) -> ParallelIterator[T]:
    """One shard for each iterable, or function that returns one.

    Args:
        repeat: whether a shard starts over at its end.
        name: is shown.
    """
    worker: Any = paralab.remote(ParallelIteratorWorker)
    actors = [worker.remote(generator, repeat) for generator in generators]
    name = name or f"from_iterators[shards={len(generators)}{', repeat=True' * repeat}]"
    return from_actors(actors, name=name)


def from_actors(actors: list[Any], name: str | None = None) -> ParallelIterator[Any]:
    """One shard for each actor, whose class inherits from :class:`ParallelIteratorWorker`."""
    name = name or f"from_actors[shards={len(actors)}]"
    return ParallelIterator([_actor_set(actors, f"iter {name.partition('[')[0]}")], name, [])


def _check_shards(num_shards: int) -> None:
    if num_shards < 1:
        raise ValueError(f"num_shards must be at least 1, not {num_shards!r}.")


class _ActorSet(NamedTuple):
    """Actors whose shards pass the same stages."""

    shards: Sequence[tuple[int, Any]]
    """Numbers and actors; of some shards of an iterator the numbers that they have there."""
    transforms: Sequence[Transform]
    work: str
    """What their calls are called: the source and the stages, with the functions' names."""

    @property
    def actors(self) -> list[Any]:
        """Without their numbers."""
        return [actor for _, actor in self.shards]

    def init_actors(self) -> None:
        """Starts all shards over."""
        work, stages = self.work, self.transforms
        named = [([*stages, printing_as(work, _part(n))], actor) for n, actor in self.shards]
        paralab.get([actor.par_iter_init.remote(stages) for stages, actor in named])

    def with_transform(self, transform: Transform, said: str) -> _ActorSet:
        """The same with one more stage."""
        return _ActorSet(self.shards, [*self.transforms, transform], self.work + said)

    def asked(self, method: str, *arguments: Any) -> list[Asked]:
        """Its actors, whose ``method`` is asked for items."""
        return [
            Asked(actor, self.work, _part(number), method, *arguments)
            for number, actor in self.shards
        ]


def _actor_set(actors: Sequence[Any], work: str) -> _ActorSet:
    return _ActorSet(list(enumerate(actors)), [], work)


def _part(number: int) -> str:
    return f"shard {number}"


class ParallelIterator(Generic[T]):
    """Shards in actors.  Stages are noted and run in the actors once somebody takes items.

    Whoever gathers starts the shards over, so two gatherings of one iterator at a time disturb
    each other; a shard may be taken by several at a time.
    """

    def __init__(
        self,
        actor_sets: list[_ActorSet],
        name: str,
        parent_iterators: list[ParallelIterator[Any]],
    ) -> None:
        self.actor_sets = actor_sets
        self.name = name
        self.parent_iterators = parent_iterators
        """Those whose actors this one's take from: they live as long."""

    def __iter__(self) -> Iterator[T]:
        raise TypeError(
            "You must use it.gather_sync() or it.gather_async() to iterate over the results of a "
            "ParallelIterator."
        )

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        return f"ParallelIterator[{self.name}]"

    def _with(
        self, transform: Transform, name: str, fn: Callable[..., Any] | None = None
    ) -> ParallelIterator[Any]:
        """One more stage, called ``name``; ``fn`` is what it calls."""
        said = name if fn is None else f"{name[:-1]}{name_of(fn)})"
        sets = [each.with_transform(transform, said) for each in self.actor_sets]
        return ParallelIterator(sets, self.name + name, self.parent_iterators)

    # -- stages ------------------------------------------------------------------------------

    def transform(self, fn: Callable[[Iterator[T]], Iterator[U]]) -> ParallelIterator[U]:
        """Any function from a shard's iterator to an iterator."""
        return self._with(lambda shard: shard.transform(fn), ".transform()", fn)

    def for_each(
        self,
        fn: Callable[[T], U],
        max_concurrency: int = 1,
        resources: dict[str, Any] | None = None,
    ) -> ParallelIterator[U]:
        """``fn(item)`` for each item; see :meth:`LocalIterator.for_each`."""
        return self._with(
            lambda shard: shard.for_each(fn, max_concurrency, resources), ".for_each()", fn
        )

    def filter(self, fn: Callable[[T], bool]) -> ParallelIterator[T]:
        """The items for which ``fn(item)`` is true."""
        return self._with(lambda shard: shard.filter(fn), ".filter()", fn)

    def batch(self, n: int) -> ParallelIterator[list[T]]:
        """Lists of ``n`` items of one shard; a shard's last one may be shorter."""
        return self._with(lambda shard: shard.batch(n), f".batch({n})")

    def flatten(self) -> ParallelIterator[Any]:
        """The items of items that are lists."""
        return self._with(lambda shard: shard.flatten(), ".flatten()")

    def combine(self, fn: Callable[[T], list[U]]) -> ParallelIterator[U]:
        """The items of the lists ``fn(item)``."""
        return self._with(lambda shard: shard.combine(fn), ".combine()", fn)

    def local_shuffle(
        self, shuffle_buffer_size: int, seed: int | None = None
    ) -> ParallelIterator[T]:
        """Each shard in an order that is random within a window of so many items."""
        size = f"shuffle_buffer_size={shuffle_buffer_size}"
        return self._with(
            lambda shard: shard.shuffle(shuffle_buffer_size, seed),
            f".local_shuffle({size}, seed={seed!s})",
        )

    def repartition(self, num_partitions: int, batch_ms: int = 0) -> ParallelIterator[T]:
        """The same items in another number of shards, in new actors.

        Args:
            batch_ms: above 0, the new actors take what comes in so many milliseconds at a time.

        Raises:
            ValueError: ``num_partitions`` is below 1.
        """
        _check_shards(num_partitions)
        sources = [(each.work, shard) for each in self.actor_sets for shard in each.shards]

        def shard(start: int) -> Iterator[Any]:
            asked = [
                Asked(actor, work, f"{_part(number)} for {start} of {num_partitions}", *call(start))
                for work, (number, actor) in sources
            ]
            return (item for _actor, item in _as_ready(asked, 1, batch_ms > 0, None))

        def call(start: int) -> tuple[Any, ...]:
            if batch_ms > 0:
                return "par_iter_slice_batch", num_partitions, start, batch_ms
            return "par_iter_slice", num_partitions, start

        # Before any of the new actors asks for an item, and once, however many of them start over.
        self._init()
        worker: Any = paralab.remote(ParallelIteratorWorker)
        actors = [worker.remote(partial(shard, start), False) for start in range(num_partitions)]
        name = f"{self.name}.repartition[num_partitions={num_partitions}]"
        works = dict.fromkeys(each.work for each in self.actor_sets)
        work = f"{' and '.join(works)}.repartition({num_partitions})"
        return ParallelIterator([_actor_set(actors, work)], name, [self])

    # -- several -----------------------------------------------------------------------------

    def union(self, other: ParallelIterator[T]) -> ParallelIterator[T]:
        """The shards of both.

        Raises:
            TypeError: ``other`` is no parallel iterator.
        """
        if not isinstance(other, ParallelIterator):
            raise TypeError(f"other must be of type ParallelIterator, got {type(other)}")
        return ParallelIterator(
            [*self.actor_sets, *other.actor_sets],
            f"ParallelUnion[{self}, {other}]",
            [*self.parent_iterators, *other.parent_iterators],
        )

    def select_shards(self, shards_to_keep: list[int]) -> ParallelIterator[T]:
        """Only the shards with these numbers.

        Raises:
            ValueError: after :meth:`union`.
            AssertionError: there is no such shard.
        """
        if len(self.actor_sets) > 1:
            raise ValueError("select_shards() is not allowed after union()")
        (all_of,) = self.actor_sets
        if any(not 0 <= shard < len(all_of.shards) for shard in shards_to_keep):
            raise AssertionError("Invalid actor index")
        kept = [all_of.shards[shard] for shard in sorted(set(shards_to_keep))]
        return ParallelIterator(
            [all_of._replace(shards=kept)],
            f"{self}.select_shards({len(shards_to_keep)} total)",
            self.parent_iterators,
        )

    def num_shards(self) -> int:
        """How many shards there are."""
        return sum(len(each.shards) for each in self.actor_sets)

    def shards(self) -> list[LocalIterator[T]]:
        """An iterator for each shard, to be taken anywhere, tasks and actors included."""
        return [self.get_shard(shard) for shard in range(self.num_shards())]

    def get_shard(
        self, shard_index: int, batch_ms: int = 0, num_async: int = 1
    ) -> LocalIterator[T]:
        """An iterator over one shard.

        Args:
            batch_ms: above 0, items are sent as they come in so many milliseconds, together.
            num_async: requests under way at a time.

        Raises:
            ValueError: there is no such shard, or ``num_async`` is below 1.
        """
        _check_depth(num_async)
        if not 0 <= shard_index < self.num_shards():
            raise ValueError("Shard index out of range", shard_index, self.num_shards())
        of_all = [(each, shard) for each in self.actor_sets for shard in each.shards]
        actor_set, shard = of_all[shard_index]
        only = actor_set._replace(shards=[shard])
        alone: ParallelIterator[T] = ParallelIterator([only], "", [self])
        return alone._gather(batch_ms, num_async, f"{self.name}.shard[{shard_index}]")

    # -- the end of a chain ------------------------------------------------------------------

    def gather_sync(self) -> LocalIterator[T]:
        """One iterator that takes an item of each shard in turn."""
        gathered = self.batch_across_shards().flatten()
        gathered.name = f"{self}.gather_sync()"
        return gathered

    def batch_across_shards(self) -> LocalIterator[list[T]]:
        """Lists of one item of each shard, as long as there are any."""

        def rounds(_timeout: float | None = None) -> Iterator[list[Any]]:
            self._init()
            shards = [shard for each in self.actor_sets for shard in each.asked("par_iter_next")]
            asked = [(shard, shard.next()) for shard in shards]
            while asked:
                again, items = [], []
                for shard, ref in asked:
                    try:
                        items.append(paralab.get(ref))
                    except StopIteration:
                        shard.ended(ref)
                        continue
                    again.append((shard, shard.next()))
                asked = again
                if items:
                    yield items

        return LocalIterator(rounds, SharedMetrics(), name=f"{self}.batch_across_shards()")

    def gather_async(self, batch_ms: int = 0, num_async: int = 1) -> LocalIterator[T]:
        """One iterator over the items of all shards as they are ready.

        Args:
            batch_ms: above 0, items are sent as they come in so many milliseconds, together.
            num_async: requests under way to each shard at a time.

        Raises:
            ValueError: ``num_async`` is below 1.
        """
        _check_depth(num_async)
        return self._gather(batch_ms, num_async, f"{self}.gather_async()")

    def _gather(self, batch_ms: int, num_async: int, name: str) -> LocalIterator[Any]:
        metrics = SharedMetrics()

        def items(timeout: float | None = None) -> Iterator[Any]:
            self._init()
            call = ("par_iter_next_batch", batch_ms) if batch_ms > 0 else ("par_iter_next",)
            shards = [shard for each in self.actor_sets for shard in each.asked(*call)]
            for actor, item in _as_ready(shards, num_async, batch_ms > 0, timeout):
                metrics.get().current_actor = actor
                yield item

        return LocalIterator(items, metrics, name=name)

    def _init(self) -> None:
        for each in self.actor_sets:
            each.init_actors()

    def take(self, n: int) -> list[T]:
        """The first ``n`` items, of the shards in turn."""
        return self.gather_sync().take(n)

    def show(self, n: int = 20) -> None:
        """Prints the first ``n`` items."""
        self.gather_sync().show(n)


def _check_depth(num_async: int) -> None:
    if num_async < 1:
        raise ValueError("queue depth must be positive")


def _as_ready(
    shards: list[Asked], depth: int, in_batches: bool, timeout: float | None
) -> Iterator[tuple[Any, Any]]:
    """Items with the actors that made them, as they come; the answers of one actor in order."""
    ask = Asked.next_batch if in_batches else Asked.next
    asked = {ask(shard): shard for _ in range(depth) for shard in shards}
    while asked:
        ready, _ = paralab.wait(list(asked), timeout=timeout)
        if not ready:
            yield None, _NextValueNotReady()
            continue
        (ref,) = ready
        shard = asked.pop(ref)
        try:
            answer = paralab.get(ref)
        except StopIteration:
            shard.ended(ref)
            continue
        if in_batches:
            shard.came(ref, len(answer))
        asked[ask(shard)] = shard
        for item in answer if in_batches else [answer]:
            yield shard.actor, item
