"""``ActorPool``: hands values to whichever of several actors is free.

::

    submit ──▶ a free actor at once, or wait in line ──▶ get_next: in order of submission
                                                   └──▶ get_next_unordered: as they finish

Each call of ``submit`` has a number.  A call that an actor works on stands in two tables, by its
ref and by its number; it leaves both when its result is taken.  The actor is given back then, and
takes the first call that waits in line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from paralab.exceptions import ActorDiedError
from paralab.util.annotations import DeveloperAPI


@DeveloperAPI
class ActorPool:
    """A pool of actors that share work.

    Args:
        actors: handles; the pool counts on calling them alone.
    """

    def __init__(self, actors: list[Any]) -> None:
        self._idle_actors = list(actors)
        self._future_to_actor: dict[Any, tuple[int, Any]] = {}
        self._index_to_future: dict[int, Any] = {}
        self._next_task_index = 0
        self._next_return_index = 0
        self._pending_submits: list[tuple[Callable[[Any, Any], Any], Any]] = []

    def map(self, fn: Callable[[Any, Any], Any], values: list[Any]) -> Iterator[Any]:
        """Submits all values at once and gives their results in order.

        Results of earlier ``submit`` calls that nobody has taken are dropped.

        Args:
            fn: takes an actor and a value and returns a ref, as in
                ``lambda actor, value: actor.double.remote(value)``.
            values: any iterable.
        """
        self._start_over(fn, values)
        return self._results(self.get_next)

    def map_unordered(self, fn: Callable[[Any, Any], Any], values: list[Any]) -> Iterator[Any]:
        """As :meth:`map`, with the results in the order in which they are ready."""
        self._start_over(fn, values)
        return self._results(self.get_next_unordered)

    def _start_over(self, fn: Callable[[Any, Any], Any], values: list[Any]) -> None:
        while self.has_next():
            try:
                self.get_next_unordered(timeout=0, ignore_if_timedout=True)
            except TimeoutError:
                pass
        for value in values:
            self.submit(fn, value)

    def _results(self, take: Callable[[], Any]) -> Iterator[Any]:
        while self.has_next():
            yield take()

    def submit(self, fn: Callable[[Any, Any], Any], value: Any) -> None:
        """Has a free actor work on ``value``, now or when one becomes free."""
        if self._idle_actors:
            actor = self._idle_actors.pop()
            future = fn(actor, value)
            key = tuple(future) if isinstance(future, list) else future
            self._future_to_actor[key] = (self._next_task_index, actor)
            self._index_to_future[self._next_task_index] = future
            self._next_task_index += 1
        else:
            self._pending_submits.append((fn, value))

    def has_next(self) -> bool:
        """Whether there are results to take, now or later."""
        return bool(self._future_to_actor)

    def get_next(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """The next result in the order of submission.

        Args:
            timeout: seconds to wait at most.
            ignore_if_timedout: whether a call that takes longer is given up: its actor counts
                as free, and its result is dropped.

        Raises:
            StopIteration: nothing is left.
            TimeoutError: the result was not ready in time.
            ValueError: the result was taken by :meth:`get_next_unordered`.
        """
        if not self.has_next():
            raise StopIteration("No more results to get")
        if self._next_return_index >= self._next_task_index:
            raise ValueError("It is not allowed to call get_next() after get_next_unordered().")
        future = self._index_to_future[self._next_return_index]
        in_time = timeout is None or self._is_ready(future, timeout)
        if not in_time and not ignore_if_timedout:
            raise TimeoutError("Timed out waiting for result")
        del self._index_to_future[self._next_return_index]
        self._next_return_index += 1
        key = tuple(future) if isinstance(future, list) else future
        _, actor = self._future_to_actor.pop(key)
        return self._take(future, actor, in_time)

    def get_next_unordered(
        self, timeout: float | None = None, ignore_if_timedout: bool = False
    ) -> Any:
        """Any result, as soon as one is ready; arguments and errors as in :meth:`get_next`."""
        from paralab.api import wait

        if not self.has_next():
            raise StopIteration("No more results to get")
        firsts = {key[0] if type(key) is tuple else key: key for key in self._future_to_actor}
        ready, _ = wait(list(firsts), num_returns=1, timeout=timeout)
        if not ready and not ignore_if_timedout:
            raise TimeoutError("Timed out waiting for result")
        key = firsts[ready[0] if ready else next(iter(firsts))]
        index, actor = self._future_to_actor.pop(key)
        del self._index_to_future[index]
        self._next_return_index = max(self._next_return_index, index + 1)
        return self._take(list(key) if type(key) is tuple else key, actor, bool(ready))

    @staticmethod
    def _is_ready(future: Any, timeout: float) -> bool:
        from paralab.api import wait

        refs = future if isinstance(future, list) else [future]
        return len(wait(refs, num_returns=len(refs), timeout=timeout)[0]) == len(refs)

    def _take(self, future: Any, actor: Any, in_time: bool) -> Any:
        from paralab.api import get

        if not in_time:
            self._return_actor(actor)
            raise TimeoutError(f"Timed out waiting for result. The task {future} has been ignored.")
        try:
            value = get(future)
        except ActorDiedError:
            self._serve_line()
            raise
        except BaseException:
            self._return_actor(actor)
            raise
        self._return_actor(actor)
        return value

    def _return_actor(self, actor: Any) -> None:
        self._idle_actors.append(actor)
        self._serve_line()

    def _serve_line(self) -> None:
        """Gives the first call in line to a free actor; a dead one's place stays empty."""
        if self._pending_submits and self._idle_actors:
            self.submit(*self._pending_submits.pop(0))

    def has_free(self) -> bool:
        """Whether an actor is free, and no call waits in line."""
        return bool(self._idle_actors) and not self._pending_submits

    def pop_idle(self) -> Any:
        """Takes a free actor out of the pool; None if there is none."""
        return self._idle_actors.pop() if self.has_free() else None

    def push(self, actor: Any) -> None:
        """Adds an actor.

        Raises:
            ValueError: it is in the pool already.
        """
        busy = [each for _, each in self._future_to_actor.values()]
        if actor in self._idle_actors or actor in busy:
            raise ValueError("Actor already belongs to current ActorPool")
        self._return_actor(actor)
