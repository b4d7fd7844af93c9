"""Whole programs as learners write them, on every engine."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def add(rt: Any) -> Any:
    """A remote addition that also counts how many additions stand behind its result."""

    @rt.remote
    def add(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
        return left[0] + right[0], max(left[1], right[1]) + 1

    return add


def test_aggregation_in_a_chain_and_as_a_tree(rt: Any, add: Any) -> None:
    """Eight values: seven additions one after the other, or three rounds of them."""
    values = [rt.put((n, 0)) for n in range(1, 9)]
    total = values[0]
    for value in values[1:]:
        total = add.remote(total, value)
    assert rt.get(total) == (36, 7)

    while len(values) > 1:
        values = [add.remote(*values[i : i + 2]) for i in range(0, len(values), 2)]
    assert rt.get(values) == [(36, 3)]


def test_a_counter(rt: Any) -> None:
    @rt.remote
    class Counter:
        def __init__(self) -> None:
            self.value = 0

        def increment(self) -> int:
            self.value += 1
            return self.value

        def read(self) -> int:
            return self.value

    counters = [Counter.remote() for _ in range(2)]
    answers = [counters[i % 2].increment.remote() for i in range(10)]
    assert rt.get(answers) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert rt.get([each.read.remote() for each in counters]) == [5, 5]


def test_workers_push_messages_to_an_actor_that_the_driver_drains(rt: Any) -> None:
    @rt.remote(num_cpus=0)
    class Messages:
        def __init__(self) -> None:
            self.messages: list[tuple[int, int]] = []

        def add(self, sender: int, number: int) -> None:
            self.messages.append((sender, number))

        def take(self) -> list[tuple[int, int]]:
            taken, self.messages = self.messages, []
            return taken

    @rt.remote
    def worker(sender: int, messages: Any) -> int:
        for number in range(20):
            rt.get(messages.add.remote(sender, number))
        return sender

    messages = Messages.remote()
    workers = [worker.remote(sender, messages) for sender in range(3)]
    got: list[tuple[int, int]] = []
    while len(got) < 60:
        got += rt.get(messages.take.remote())
    assert rt.get(workers) == [0, 1, 2]
    assert rt.get(messages.take.remote()) == []
    for sender in range(3):
        assert [number for who, number in got if who == sender] == list(range(20))


def fibonacci(n: int) -> list[int]:
    numbers = [0, 1]
    while len(numbers) < n:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[:n]


@pytest.mark.parametrize(
    ("give_back", "size"),
    [(lambda numbers: numbers[-1] % 1000, 8), (lambda numbers: numbers, 2_000)],
    ids=["small", "large"],
)
def test_fibonacci_sequential_against_parallel(
    rt: Any, give_back: Callable[[list[int]], Any], size: int
) -> None:
    """With small results and with results of some hundred kilobytes."""
    remote = rt.remote(lambda n: give_back(fibonacci(n)))
    lengths = [size + i for i in range(6)]
    assert rt.get([remote.remote(n) for n in lengths]) == [give_back(fibonacci(n)) for n in lengths]


def test_recursive_fibonacci_of_tasks(rt: Any) -> None:
    @rt.remote
    def fib(n: int) -> int:
        return n if n < 2 else sum(rt.get([fib.remote(n - 1), fib.remote(n - 2)]))

    assert rt.get(fib.remote(7)) == 13


def test_two_actors_compare_the_weather_of_the_stations_they_share(rt: Any) -> None:
    @rt.remote
    class Year:
        """Daily mean temperatures, generated, of the stations that measured in one year."""

        def __init__(self, year: int, stations: list[str]) -> None:
            noise = random.Random(year)
            self.days = {
                station: [10 + year % 10 + noise.gauss(0, 1) for _ in range(365)]
                for station in stations
            }

        def stations(self) -> set[str]:
            return set(self.days)

        def means(self, stations: list[str]) -> dict[str, float]:
            return {station: sum(self.days[station]) / 365 for station in stations}

    before = Year.remote(2001, ["Aachen", "Bremen", "Celle"])
    after = Year.remote(2005, ["Bremen", "Celle", "Dresden"])
    shared = sorted(set.intersection(*rt.get([before.stations.remote(), after.stations.remote()])))
    assert shared == ["Bremen", "Celle"]
    first, second = rt.get([year.means.remote(shared) for year in (before, after)])
    for station in shared:
        assert 3 < second[station] - first[station] < 5


@pytest.mark.parametrize("n", [100, 200, 300])
def test_the_n_tasks_of_a_sum_over_n_squared_pairs(rt: Any, n: int) -> None:
    @rt.remote
    def row(i: int, n: int) -> int:
        return sum(i * j for j in range(n))

    assert sum(rt.get([row.remote(i, n) for i in range(n)])) == (n * (n - 1) // 2) ** 2
