"""Arrays that pools, executors and joblib hand out: each is its receiver's own, to write into."""

from __future__ import annotations

import gc
import os
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually, stored

import paralab
from paralab.engine import current
from paralab.util.concurrent import Executor
from paralab.util.multiprocessing import Pool

np: Any = pytest.importorskip("numpy")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("session")]

SIZES = {"1 kB": 1_000, "500 kB": 500_000, "8 MB": 8_000_000}
"""In the message; in the store, copied; in the store, mapped."""
Run = Callable[..., list[Any]]


def with_joblib(function: Callable[..., Any], items: list[Any]) -> list[Any]:
    joblib = pytest.importorskip("joblib")
    from paralab.util.joblib import register_paralab

    register_paralab()
    with joblib.parallel_config(backend="paralab"):
        calls = (joblib.delayed(function)(item) for item in items)
        return list(joblib.Parallel(n_jobs=2, batch_size=1)(calls))


@pytest.fixture(scope="module")
def runs(session: None) -> Iterator[dict[str, Run]]:
    with Pool(2) as pool, Executor(2) as executor:
        yield {
            "map": partial(pool.map, chunksize=1),
            "starmap": lambda f, items: pool.starmap(f, [(item,) for item in items], 1),
            "imap": lambda f, items: list(pool.imap(f, items)),
            "apply": lambda f, items: [pool.apply(f, (), {"array": item}) for item in items],
            "Executor.map": lambda f, items: list(executor.map(f, items)),
            "submit": lambda f, items: [executor.submit(f, item).result() for item in items],
            "joblib": with_joblib,
        }


WAYS = ("map", "starmap", "imap", "apply", "Executor.map", "submit", "joblib")


def change(array: Any) -> tuple[float, Any]:
    first = float(array[0])
    array[0] += 5
    array[-1] = array[0]
    return first, array


def own_memory(array: Any) -> tuple[float, int, int]:
    """What an array adds up to, and of the mappings of the store: how many, and kB copied."""
    total = float(array.sum())
    count = copied = 0
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            inside = "paralab-store" in line
            count += inside
        elif inside and line.startswith("Anonymous:"):
            copied += int(line.split()[1])
    return total, count, copied


def write_and_look(array: Any) -> int:
    array[0] = 7
    return own_memory(array)[2]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("way", WAYS)
def test_arguments_and_results_are_there_to_write_into(
    runs: dict[str, Run], way: str, size: int
) -> None:
    array = np.zeros(size // 8)
    # multiprocessing's pickles do not keep that, joblib's do.
    array.flags.writeable = way == "joblib"
    results = runs[way](change, [array, array, array])
    assert [first for first, _ in results] == [0, 0, 0]  # nobody saw what another one wrote
    for _, changed in results:
        assert changed[0] == changed[-1] == 5
        assert not changed[1:-1].any()
        changed[1] = 3
    assert [changed[1] for _, changed in results] == [3, 3, 3]
    assert not array.any()


@pytest.mark.parametrize("way", WAYS)
def test_what_is_only_read_is_not_copied(runs: dict[str, Run], way: str) -> None:
    array = np.ones(SIZES["8 MB"] // 8)
    assert {row[::2] for row in runs[way](own_memory, [array] * 3)} == {(1_000_000, 0)}
    page = os.sysconf("SC_PAGESIZE") // 1024
    assert runs[way](write_and_look, [array] * 3) == [page] * 3


def test_a_mapping_goes_with_the_last_look_at_it(runs: dict[str, Run]) -> None:
    def mappings(item: Any) -> dict[int, int]:
        """How many each of the pool's two workers has; one may be quick and take all items."""
        found: dict[int, int] = {}
        while len(found) < 2:
            found |= runs["map"](lambda array: (os.getpid(), own_memory(array)[1]), [item] * 8)
        return found

    small, large = np.ones(10), np.ones(SIZES["8 MB"] // 8)
    before = mappings(small)
    assert mappings(large) == {pid: count + 1 for pid, count in before.items()}
    assert mappings(small) == before
    mapping: Any = current().mapping  # type: ignore[attr-defined]
    gc.collect()
    looks = mapping.live_views
    tail = runs["map"](change, [large])[0][1][1:][5:]
    assert mapping.live_views == looks + 1
    del tail
    assert mapping.live_views == looks


def test_bytes_that_are_looked_at_are_not_used_again(runs: dict[str, Run]) -> None:
    """The room of an object is given to the next one at once: what is free is used first."""
    kept = [runs["map"](partial(np.full, 1_000_000), [float(n)])[0] for n in range(3)]
    kept[1][0] = -1
    gc.collect()
    refs = [paralab.put(np.full(1_000_000, 9.0)) for _ in range(6)]
    paralab.available_resources()
    assert [float(array[-1]) for array in kept] == [0, 1, 2]
    assert [float(array[0]) for array in kept] == [0, -1, 2]
    assert not any(paralab.get(ref).flags.writeable for ref in refs)


def test_the_room_is_given_back(runs: dict[str, Run]) -> None:
    gc.collect()
    before = stored()
    result = runs["map"](change, [np.ones(1_000_000)])
    assert stored() > before
    del result
    gc.collect()
    eventually(lambda: stored() <= before)


def test_a_function_that_carries_an_array_has_a_fresh_one_in_each_chunk(
    runs: dict[str, Run],
) -> None:
    for size in SIZES.values():
        function = partial(add_to, np.zeros(size // 8))
        assert runs["map"](function, [1, 2, 3, 4]) == [1, 2, 3, 4]
        assert runs["Executor.map"](function, [1, 2]) == [1, 2]


def add_to(array: Any, number: int) -> float:
    array += number
    return float(array[-1])


def test_an_initializer_may_keep_and_change_its_arrays() -> None:
    def start(array: Any) -> None:
        import builtins

        array[0] = os.getpid()
        builtins.kept = array  # type: ignore[attr-defined]

    def look(_item: int) -> bool:
        import builtins

        return builtins.kept[:2].tolist() == [os.getpid(), 1]  # type: ignore[attr-defined,no-any-return]

    with Pool(2, start, (np.ones(SIZES["8 MB"] // 8),)) as pool:
        assert pool.map(look, range(4), chunksize=1) == [True] * 4


def test_arrays_of_all_kinds_are_writable_and_others_stay_as_they_are(runs: dict[str, Run]) -> None:
    arrays = [
        np.zeros((300, 500), order="F"),
        np.zeros((4, 6))[:, ::2],
        np.zeros(3, dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["2020-01-01"], dtype="M8[D]"),
        np.array([None, 1], dtype=object),
        np.zeros(0),
        np.array(["a", "bc"]),
        np.zeros(5, dtype=">i4"),
    ]

    def look(array: Any) -> tuple[bool, Any]:
        return array.flags.writeable, array

    for array, (writable, returned) in zip(arrays, runs["map"](look, arrays), strict=True):
        assert writable
        assert returned.flags.writeable
        as_there = pickle.loads(pickle.dumps(array, 4))
        assert (returned.dtype, returned.strides) == (as_there.dtype, as_there.strides)
        assert (returned == array).all()


def test_get_stays_read_only(runs: dict[str, Run]) -> None:
    @paralab.remote
    def writable(array: Any) -> bool:
        return bool(array.flags.writeable)

    for size in SIZES.values():
        array = np.zeros(size // 8)
        assert not paralab.get(writable.remote(array))
        assert not paralab.get(paralab.put(array)).flags.writeable
        inside = runs["map"](
            lambda refs: paralab.get(refs[0]).flags.writeable, [[paralab.put(array)]]
        )
        assert inside == [False]
