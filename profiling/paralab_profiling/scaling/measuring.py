"""Measuring calls local against remote, in pairs, on different numbers of workers.

A session's CPUs are fixed, and a task's options must not change with the number of workers, or
the overhead would too.  ``num_cpus=cpus/p`` must be whole, so it cannot give 3 of 4 workers; at
most p tasks in flight puts a round trip through the driver between two tasks, and they can no
longer be sent ahead.  So the CPUs that shall not be used are set aside in a placement group: no
process, no task, and the program that is measured stays the same.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import paralab
from paralab.remote_function import RemoteFunction
from paralab.shown_text import shown_name
from paralab.util.placement_group import placement_group, remove_placement_group
from paralab_profiling.live.following import following
from paralab_profiling.recording import Recording
from paralab_profiling.scaling.model import Block, Size, size_of
from paralab_profiling.scaling.result import Speedup
from paralab_profiling.scaling.so_far import LOCAL, SpeedupSoFar
from paralab_profiling.taking import take

FEWEST = 3
"""Pairs; fewer say nothing of how sure a speed-up is."""
MANY = 20_000
"""Tasks after which they are taken down, before the session forgets them."""
EMPTY_TASKS = 200
"""By which is measured what the driver needs for one."""
PATIENCE = 10.0
"""Seconds to wait until CPUs can be set aside."""


def speedup(
    function: Callable[[Any], Any],
    inputs: Sequence[Any] | Callable[[int], Sequence[Any]],
    *,
    workers: Sequence[int] | None = None,
    sizes: Sequence[int] | None = None,
    repeats: int = 5,
    confidence: float = 0.95,
    seed: int = 0,
    live: bool | None = None,
) -> Speedup:
    """Measures ``[function(x) for x in inputs]`` local against remote.

    Args:
        function: takes one argument; anything that can be called, or what ``paralab.remote`` made.
        inputs: the arguments, or a function that makes those of a size.
        workers: numbers of workers, each at most the CPUs of the session; by default 1, 2, 4 and
            so on, and all of them.
        sizes: what ``inputs`` is called with, if it is a function.
        repeats: pairs for each number of workers, at least 3.
        confidence: of the intervals, 0 to 1.
        seed: of the bootstrap; the measured times are what they are.
        live: whether every finished run is shown at once; by default in notebooks with widgets.
            Nothing is drawn while time is taken.

    Returns:
        Figures and pictures; measured, predicted and replayed apart.

    Raises:
        SystemFailure: paralab is not running, see ``paralab.init``.
        ValueError: there are no inputs, too few repeats, or fewer CPUs than workers.
        RuntimeError: the session is in local_mode, or other work of it keeps the CPUs that were to
            be set aside.
        ImportError: ``live`` is set, and anywidget, ipywidgets or IPython is missing.
    """
    cpus = int(paralab.cluster_resources().get("CPU", 1))
    numbers = sorted(set(_powers(cpus) if workers is None else workers))
    if repeats < FEWEST:
        raise ValueError(f"speedup() needs at least {FEWEST} repeats, not {repeats}")
    if not numbers or numbers[0] < 1 or numbers[-1] > cpus:
        raise ValueError(
            f"this session has {cpus} CPUs, so workers must be between 1 and {cpus}, not"
            f" {numbers}; init(num_cpus=...) decides, and more than the machine's cores is slower."
        )
    if callable(inputs) != bool(sizes):
        raise ValueError("sizes= belongs to inputs that are a function of the size")
    refuse_local_mode()
    plain, remote, name = both_ways(function)
    found: list[Size] = []
    driver_ns = 0
    so_far = SpeedupSoFar(name, numbers, repeats, len(sizes or (0,)))
    with following(so_far.picture, live) as shown:
        for size, arguments in _by_size(inputs, sizes):
            if not arguments:
                raise ValueError("speedup() needs at least one input")
            if not found:
                _warm_up(plain, remote, arguments, cpus)
                driver_ns = _driver_ns()
            so_far.begin(size)

            def ended(workers: int, seconds: float) -> None:
                so_far.add(workers, seconds)
                shown.tell()

            recording, local, blocks = _measure(
                plain, remote, arguments, numbers, repeats, cpus, ended
            )
            found.append(
                size_of(
                    *(recording, local, blocks, len(arguments)),
                    size=size, driver_ns=driver_ns, seed=seed, confidence=confidence,
                )
            )  # fmt: skip
    return Speedup(name, tuple(found), cpus)


def _by_size(
    inputs: Sequence[Any] | Callable[[int], Sequence[Any]], sizes: Sequence[int] | None
) -> Iterator[tuple[int | None, list[Any]]]:
    """Sizes and their inputs; made when their turn comes, as they may be large."""
    if callable(inputs):
        for size in sizes or ():
            yield size, list(inputs(size))
    else:
        yield None, list(inputs)


def both_ways(function: Any) -> tuple[Callable[..., Any], Any, str]:
    """A function as it is, as a remote one that takes one CPU, and what pictures call it.

    Raises:
        TypeError: it is none.
    """
    if not callable(function) and not isinstance(function, RemoteFunction):
        raise TypeError(f"what is measured is a function, not a {type(function).__name__}")
    if isinstance(function, RemoteFunction):
        plain = function.__wrapped__
        return plain, function.options(num_cpus=1), _name(plain)
    if inspect.isfunction(function):
        return function, paralab.remote(function).options(num_cpus=1), _name(function)

    # What is written in C, a method or a partial cannot be remote itself.
    def call(*arguments: Any) -> Any:
        return function(*arguments)

    name = _name(function)
    call.__name__ = call.__qualname__ = name
    return function, paralab.remote(call).options(num_cpus=1, name=name), name


def refuse_local_mode() -> None:
    """Raises RuntimeError if tasks run in this very process, where nothing is parallel."""
    where = both_ways(os.getpid)[1]
    if paralab.get(where.remote()) == os.getpid():
        raise RuntimeError(
            "local_mode runs all tasks in this process, one after the other, so there is nothing"
            " to compare: paralab.shutdown(), then paralab.init() without it."
        )


def _name(function: Any) -> str:
    return shown_name(str(getattr(function, "__name__", type(function).__name__)))


def _powers(cpus: int) -> list[int]:
    return [*(1 << n for n in range(cpus.bit_length()) if 1 << n < cpus), cpus]


def _warm_up(plain: Any, remote: Any, arguments: Sequence[Any], cpus: int) -> None:
    """The first calls start processes, import modules and ship the function."""
    plain(arguments[0])
    few = [arguments[n % len(arguments)] for n in range(2 * cpus)]
    paralab.get([remote.remote(argument) for argument in few])


def _driver_ns() -> int:
    """What the driver needs for one empty task, of which nothing can be slower than the driver.

    The shortest of three times: what makes it longer is other work of the machine.
    """
    empty = paralab.remote(lambda number: number)
    shortest = 1 << 62
    for _ in range(3):
        start = time.monotonic_ns()
        paralab.get([empty.remote(number) for number in range(EMPTY_TASKS)])
        shortest = min(shortest, time.monotonic_ns() - start)
    return shortest // EMPTY_TASKS


def _measure(
    plain: Any,
    remote: Any,
    arguments: Sequence[Any],
    numbers: Sequence[int],
    repeats: int,
    cpus: int,
    ended: Callable[[int, float], None],
) -> tuple[Recording, list[float], dict[int, list[Block]]]:
    """All runs of one size, in rounds; every other round goes the other way around.

    ``ended`` is called after each, with the number of workers, 0 for local, and its seconds.
    """
    local: list[float] = []
    blocks: dict[int, list[Block]] = {number: [] for number in numbers}
    pieces: list[Recording] = []
    since = begin = time.monotonic_ns()
    tasks = 0
    for round_ in range(repeats):
        order = (0, *numbers)
        for number in order if round_ % 2 == 0 else order[::-1]:
            if not number:
                start = time.monotonic_ns()
                _local(plain, arguments)
                local.append((time.monotonic_ns() - start) / 1e9)
                ended(LOCAL, local[-1])
                continue
            with set_aside(cpus - number):
                start = time.monotonic_ns()
                paralab.get([remote.remote(argument) for argument in arguments])
                blocks[number].append((start, time.monotonic_ns()))
            ended(number, (blocks[number][-1][1] - start) / 1e9)
            tasks += len(arguments)
            if tasks >= MANY:
                pieces.append(take().between(since, time.monotonic_ns()))
                since, tasks = time.monotonic_ns(), 0
    pieces.append(take().between(since, time.monotonic_ns()))
    return _joined(pieces).between(begin, time.monotonic_ns()), local, blocks


def _local(plain: Any, arguments: Sequence[Any]) -> list[Any]:
    return [plain(argument) for argument in arguments]


def _joined(pieces: Sequence[Recording]) -> Recording:
    """Recordings of one session that lie one after the other as one."""
    last = pieces[-1]
    return Recording(
        tuple(task for piece in pieces for task in piece),
        last.workers,
        last.facts,
        puts=tuple(put for piece in pieces for put in piece.puts),
        waits=tuple(wait for piece in pieces for wait in piece.waits),
        processes=last.processes,
        sources=last.sources,
        dropped=last.dropped,
        silent=max(piece.silent for piece in pieces),
    )


@contextmanager
def set_aside(cpus: int) -> Iterator[None]:
    """So many CPUs are nobody's while the block runs."""
    if not cpus:
        yield
        return
    group = placement_group([{"CPU": 1}] * cpus)
    try:
        if not group.wait(PATIENCE):
            some = "1 CPU" if cpus == 1 else f"{cpus} CPUs"
            raise RuntimeError(
                f"{some} could not be set aside in {PATIENCE:.0f} s: other tasks or actors of this"
                " session use them. Stop them, or ask for all of the workers only."
            )
        yield
    finally:
        remove_placement_group(group)
