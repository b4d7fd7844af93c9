"""The node's lease table, rule by rule; see test_lease_order.py for any order of events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from paralab.state.lease_instructions import (
    EndWorker,
    Grant,
    Instruction,
    PlaceActor,
    Refuse,
    Retire,
    Revoke,
    StartWorker,
    Unmet,
)
from paralab.state.leases import SERIES_NS, LeaseTable
from paralab.state.resources import Resources
from paralab.task_spec import RESOURCE_UNIT as ONE

DRIVER = b"driver"
HALF = ONE // 2
CPU = {"CPU": ONE}


def table(cpus: int = 2, soft: int = 64, hard: int = 2000, **more: int) -> LeaseTable:
    total = {"CPU": cpus * ONE, **{name: n * ONE for name, n in more.items()}}
    return LeaseTable(Resources(total), soft, hard)


def add_workers(leases: LeaseTable, *names: bytes) -> None:
    for name in names:
        leases.worker_ready(name, 0)


def granted(instructions: list[Instruction]) -> list[tuple[bytes, bytes]]:
    """(client, worker) of each lease."""
    return [(i.client, i.worker) for i in instructions if isinstance(i, Grant)]


def kinds(instructions: list[Instruction]) -> list[type]:
    return [type(instruction) for instruction in instructions]


# -- one rule at a time ------------------------------------------------------------------------


def test_a_lease_needs_a_worker_and_then_keeps_its_resources() -> None:
    leases = table()
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    assert leases.decide(0) == [StartWorker()]
    assert leases.decide(0) == [], "the fork is under way"
    add_workers(leases, b"w1")
    assert leases.decide(0) == [Grant(DRIVER, 1, b"w1", ())]
    assert leases.resources.available["CPU"] == ONE
    assert leases.requests == []
    leases.returned(DRIVER, b"w1", 5)
    assert leases.resources.available["CPU"] == 2 * ONE


def test_no_more_forks_than_resources() -> None:
    leases = table(cpus=2)
    leases.want(DRIVER, 1, CPU, 10, 1, "f")
    assert leases.decide(0) == [StartWorker(), StartWorker()]
    assert leases.decide(0) == []


def test_the_warmest_worker_is_taken() -> None:
    leases = table(cpus=4)
    add_workers(leases, b"w1", b"w2", b"w3")
    leases.want(DRIVER, 1, CPU, 2, 1, "f")
    assert granted(leases.decide(0)) == [(DRIVER, b"w3"), (DRIVER, b"w2")]
    leases.returned(DRIVER, b"w3", 1)
    leases.want(DRIVER, 2, CPU, 1, 1, "g")
    assert granted(leases.decide(1)) == [(DRIVER, b"w3")]


def test_one_worker_that_is_spent_gets_no_more_work() -> None:
    leases = table(cpus=2)
    add_workers(leases, b"w1", b"w2")
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    ((_, busy),) = granted(leases.decide(0))
    assert leases.outdate(busy) == [Revoke(DRIVER, busy, -1)]
    assert leases.returned(DRIVER, busy, 1) == [Retire(busy)]
    (idle,) = {b"w1", b"w2"} - {busy}
    assert leases.outdate(idle) == [Retire(idle)]
    assert leases.outdate(b"gone") == []
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    assert leases.decide(2) == [StartWorker()]


def test_no_worker_is_leased_to_itself() -> None:
    leases = table(cpus=4)
    add_workers(leases, b"w1")
    leases.want(b"w1", 1, {}, 1, 2, "child of a task that has ended")
    assert leases.decide(0) == [StartWorker()]
    add_workers(leases, b"w2")
    assert granted(leases.decide(0)) == [(b"w1", b"w2")]


def test_deeper_requests_go_first_then_older_ones() -> None:
    leases = table(cpus=8)
    for number, depth in ((1, 1), (2, 3), (3, 2), (4, 3)):
        leases.want(DRIVER, number, CPU, 1, depth, "f")
    add_workers(leases, b"w1", b"w2", b"w3", b"w4")
    order = [i.class_number for i in leases.decide(0) if isinstance(i, Grant)]
    assert order == [2, 4, 3, 1]


def test_a_request_can_grow_and_be_withdrawn() -> None:
    leases = table(cpus=8)
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    leases.want(DRIVER, 1, CPU, 2, 1, "f")
    leases.want(b"other", 1, CPU, 1, 1, "f")
    assert [(r.client, r.count) for r in leases.requests] == [(DRIVER, 3), (b"other", 1)]
    leases.want(DRIVER, 1, {}, 0, 0, "")
    assert [r.client for r in leases.requests] == [b"other"]


def test_a_blocked_task_lends_its_cpu_and_takes_it_back_into_debt() -> None:
    leases = table(cpus=1)
    add_workers(leases, b"w1", b"w2")
    leases.want(DRIVER, 1, CPU, 1, 1, "outer")
    assert granted(leases.decide(0)) == [(DRIVER, b"w2")]
    leases.want(b"w2", 1, CPU, 1, 2, "inner")
    assert granted(leases.decide(0)) == []
    leases.blocked(b"w2")
    assert granted(leases.decide(0)) == [(b"w2", b"w1")]
    leases.unblocked(b"w2")
    assert leases.resources.available["CPU"] == -ONE
    leases.want(DRIVER, 1, CPU, 1, 1, "outer")
    assert granted(leases.decide(0)) == []
    leases.returned(b"w2", b"w1", 0)
    assert leases.resources.available["CPU"] == 0


def test_words_of_a_task_that_is_over_change_nothing() -> None:
    # BLOCKED and RETURN_LEASE come over different sockets and may overtake each other.
    leases = table(cpus=1)
    add_workers(leases, b"w1")
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    leases.decide(0)
    leases.returned(DRIVER, b"w1", 0)
    leases.blocked(b"w1")
    leases.want(DRIVER, 2, CPU, 1, 1, "g")
    assert granted(leases.decide(0)) == [(DRIVER, b"w1")]
    leases.unblocked(b"w1")
    assert leases.resources.available["CPU"] == 0
    leases.returned(DRIVER, b"w1", 0)
    assert leases.resources.available["CPU"] == ONE


def test_leases_that_others_need_are_revoked_once() -> None:
    leases = table(cpus=1)
    add_workers(leases, b"w1")
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    leases.decide(0)
    leases.want(b"other", 1, CPU, 1, 1, "g")
    assert leases.decide(0) == [Revoke(DRIVER, b"w1", 1)]
    assert leases.decide(0) == []
    leases.returned(DRIVER, b"w1", 0)
    assert granted(leases.decide(0)) == [(b"other", b"w1")]
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    assert leases.decide(0) == [Revoke(b"other", b"w1", 1)], "a new lease, a new word"


def test_only_leases_that_hold_what_is_lacking_are_revoked() -> None:
    leases = table(cpus=2, GPU=1)
    add_workers(leases, b"w1", b"w2")
    leases.want(DRIVER, 1, {"GPU": ONE}, 1, 1, "on the GPU")
    leases.want(DRIVER, 2, CPU, 1, 1, "f")
    leases.decide(0)
    leases.want(b"other", 1, {"GPU": ONE}, 1, 1, "g")
    assert leases.decide(0) == [Revoke(DRIVER, b"w2", 1)]
    leases.want(DRIVER, 2, CPU, 1, 1, "f")
    assert Revoke not in kinds(leases.decide(0)), "a class does not revoke its own leases"


def test_shares_on_several_gpus_are_revoked_for_one_that_fits_nowhere() -> None:
    leases = table(cpus=0, GPU=2)
    add_workers(leases, b"w1", b"w2", b"w3", b"w4")
    leases.want(DRIVER, 1, {"GPU": 6000}, 2, 1, "most of one")
    assert len(granted(leases.decide(0))) == 2
    leases.want(b"other", 1, {"GPU": HALF}, 1, 1, "half of one")
    decided = leases.decide(0)
    assert kinds(decided) == [Revoke, Revoke], "8000 are free, but on no one device"
    leases.returned(DRIVER, b"w4", 0)
    assert granted(leases.decide(0)) == [(b"other", b"w4")]


def test_an_actor_holds_less_than_it_needs_to_be_placed() -> None:
    leases = table(cpus=1)
    add_workers(leases, b"w1", b"w2")
    leases.want_actor(DRIVER, (DRIVER, 7), CPU, {}, 1, "A")
    leases.want_actor(DRIVER, (DRIVER, 8), CPU, CPU, 1, "B")
    placed = [each for each in leases.decide(0) if isinstance(each, PlaceActor)]
    assert placed == [
        PlaceActor(DRIVER, (DRIVER, 7), b"w2", ()),
        PlaceActor(DRIVER, (DRIVER, 8), b"w1", ()),
    ]
    assert leases.resources.available["CPU"] == 0
    leases.worker_died(b"w1")
    assert leases.resources.available["CPU"] == ONE


def test_workers_for_a_series_of_actors_are_started_ahead() -> None:
    leases = table()
    add_workers(leases, b"w1", b"w2")

    def place(key: int, now: int) -> list[Instruction]:
        leases.want_actor(DRIVER, (DRIVER, key), CPU, {}, 1, "A")
        return leases.decide(now)

    assert kinds(place(7, 0)) == [PlaceActor], "one actor is no series"
    assert kinds(place(8, SERIES_NS - 1)) == [PlaceActor, StartWorker, StartWorker]
    add_workers(leases, b"w3")
    assert kinds(place(9, SERIES_NS)) == [PlaceActor, StartWorker], "one is still on its way"
    add_workers(leases, b"w4", b"w5")
    assert kinds(place(10, 3 * SERIES_NS)) == [PlaceActor], "the series has ended"


def test_no_worker_is_started_ahead_beyond_the_soft_limit() -> None:
    leases = table(soft=1)
    add_workers(leases, b"w1", b"w2", b"w3")
    for key in (7, 8):
        leases.want_actor(DRIVER, (DRIVER, key), CPU, {}, 1, "A")
        assert kinds(leases.decide(key)) == [PlaceActor]


@pytest.mark.parametrize("cpus", [2, 2000])
def test_a_thousand_actors_are_not_all_looked_at_in_each_round(
    cpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = table(cpus)
    add_workers(leases, b"w1", b"w2")
    for key in range(1, 1_001):
        leases.want_actor(DRIVER, (DRIVER, key), {}, CPU if cpus > 2 else {}, 1, "A")
    looks = []
    feasible = leases.places.feasible

    def counted(*given: Any) -> bool:
        looks.append(given)
        return feasible(*given)

    monkeypatch.setattr(leases.places, "feasible", counted)
    placed = [i.actor[1] for i in leases.decide(0) if isinstance(i, PlaceActor)]
    assert placed == [1, 2]
    for number in range(3, 100):
        add_workers(leases, b"w%d" % number)
        placed += [i.actor[1] for i in leases.decide(0) if isinstance(i, PlaceActor)]
    assert placed == list(range(1, 100)), "in their order"
    assert len(looks) < 20 * 100


def test_actors_that_lack_resources_wait_in_their_order_and_hold_up_nobody() -> None:
    leases = table()
    add_workers(leases, b"w1", b"w2", b"w3")
    for key in range(1, 6):
        leases.want_actor(DRIVER, (DRIVER, key), CPU, CPU, 1, "A")
    leases.want_actor(DRIVER, (DRIVER, 6), {}, {}, 1, "B")
    placed = [i.actor[1] for i in leases.decide(0) if isinstance(i, PlaceActor)]
    assert placed == [1, 2, 6]
    leases.worker_died(b"w3")
    add_workers(leases, b"w4")
    placed = [i.actor[1] for i in leases.decide(1) if isinstance(i, PlaceActor)]
    assert placed == [3]


def test_an_actor_that_is_dropped_gets_no_place() -> None:
    leases = table()
    leases.want_actor(DRIVER, (DRIVER, 7), CPU, {}, 1, "A")
    assert leases.drop_actor((DRIVER, 7))
    assert not leases.drop_actor((DRIVER, 7))
    add_workers(leases, b"w1")
    assert leases.decide(0) == []


def test_at_the_soft_limit_only_blocked_processes_get_another() -> None:
    leases = table(cpus=4, soft=2, hard=10)
    add_workers(leases, b"w1", b"w2")
    leases.want(DRIVER, 1, CPU, 2, 1, "f")
    leases.decide(0)
    leases.want(DRIVER, 2, CPU, 1, 1, "g")
    assert StartWorker not in kinds(leases.decide(0))
    leases.want(b"w1", 1, CPU, 1, 2, "inner")
    assert StartWorker not in kinds(leases.decide(0)), "w1 does not wait for it"
    leases.blocked(b"w1")
    assert kinds(leases.decide(0)) == [StartWorker]
    add_workers(leases, b"w3")
    assert granted(leases.decide(0)) == [(b"w1", b"w3")]


def test_at_the_soft_limit_something_always_runs() -> None:
    leases = table(cpus=4, soft=1, hard=10)
    add_workers(leases, b"w1")
    leases.want(DRIVER, 1, CPU, 1, 1, "waits for the driver's next task")
    leases.decide(0)
    leases.want(DRIVER, 2, CPU, 1, 1, "the driver's next task")
    assert leases.decide(0) == []
    leases.blocked(b"w1")
    assert kinds(leases.decide(0)) == [StartWorker]


def chain_at_the_hard_limit() -> LeaseTable:
    """Two processes of two, both blocked: b"w2" waits for b"w1", and b"w1" for one more."""
    leases = table(cpus=4, soft=1, hard=2)
    add_workers(leases, b"w1", b"w2")
    leases.want(DRIVER, 1, CPU, 1, 1, "first")
    leases.decide(0)
    leases.blocked(b"w2")
    leases.want(b"w2", 1, CPU, 1, 2, "second")
    leases.decide(0)
    return leases


def test_a_chain_beyond_the_hard_limit_is_refused_by_name() -> None:
    leases = chain_at_the_hard_limit()
    leases.blocked(b"w1")
    leases.want(b"w1", 1, CPU, 1, 3, "third")
    assert leases.decide(0) == [Refuse(b"w1", 1, ("first", "second", "third"), 2)]
    assert leases.requests == []


def test_at_the_hard_limit_a_request_waits_while_something_runs() -> None:
    leases = chain_at_the_hard_limit()
    leases.want(DRIVER, 2, CPU, 1, 1, "another")
    assert Refuse not in kinds(leases.decide(0)), "b'w1' runs and will be free"
    leases.returned(b"w2", b"w1", 0)
    assert granted(leases.decide(0)) == [(DRIVER, b"w1")]


def test_what_can_never_be_met_is_said_once_and_stands_in_nobodys_way() -> None:
    leases = table(cpus=2)
    add_workers(leases, b"w1")
    leases.want(DRIVER, 1, {"CPU": 3 * ONE}, 1, 1, "wide")
    leases.want(DRIVER, 2, CPU, 1, 1, "f")
    assert leases.decide(0) == [
        Unmet(DRIVER, 1, "wide", {"CPU": 3.0}),
        Grant(DRIVER, 2, b"w1", ()),
    ]
    assert leases.decide(0) == []
    assert [request.name for request in leases.requests] == ["wide"]


def test_idle_workers_retire_unless_they_must_stay() -> None:
    leases = table()
    leases.worker_ready(b"w1", 10)
    leases.worker_ready(b"w2", 20)
    assert leases.idle_since(10) == [Retire(b"w1")]
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    assert granted(leases.decide(0)) == [(DRIVER, b"w2")], "b'w1' may be gone"
    leases.worker_ready(b"w1", 30)
    assert leases.idle_since(10) == []
    assert leases.idle_since(30) == [Retire(b"w1")]


def test_restart_ends_every_worker_that_runs_tasks() -> None:
    leases = table(cpus=4)
    add_workers(leases, b"w1", b"w2", b"w3")
    leases.want_actor(DRIVER, (DRIVER, 7), {}, {}, 1, "A")
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    assert kinds(leases.decide(0)) == [PlaceActor, Grant]
    assert leases.restart() == [Retire(b"w1"), Revoke(DRIVER, b"w2", -1)]
    assert leases.returned(DRIVER, b"w2", 0) == [Retire(b"w2")]
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    assert leases.decide(0) == [StartWorker()]
    leases.worker_ready(b"w1", 5)  # it must stay, since it owns objects: it gets no work
    assert leases.decide(0) == []
    assert leases.idle_since(5) == [Retire(b"w1"), Retire(b"w2")], "asked again"
    assert leases.idle_since(5) == [Retire(b"w1"), Retire(b"w2")]
    add_workers(leases, b"w4")
    assert granted(leases.decide(0)) == [(DRIVER, b"w4")]


def test_a_dead_clients_workers_end_and_its_requests_go() -> None:
    leases = table(cpus=4)
    add_workers(leases, b"w1", b"w2")
    leases.want(DRIVER, 1, CPU, 1, 1, "outer")
    leases.decide(0)
    leases.want(b"w2", 1, CPU, 3, 2, "inner")
    leases.decide(0)
    leases.worker_died(b"w2")
    assert leases.client_died(b"w2") == [EndWorker(b"w1")]
    assert leases.requests == []
    leases.worker_died(b"w1")
    assert leases.resources.available == leases.resources.total


def test_a_fork_that_fails_is_tried_again() -> None:
    leases = table()
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    assert leases.decide(0) == [StartWorker()]
    leases.starting.end(b"")
    assert leases.decide(0) == [StartWorker()]


@pytest.mark.parametrize("event", ["returned", "blocked", "unblocked", "worker_died"])
def test_words_about_processes_that_are_gone_are_ignored(event: str) -> None:
    leases = table()
    add_workers(leases, b"w1")
    say: dict[str, Callable[[], object]] = {
        "returned": lambda: leases.returned(DRIVER, b"gone", 0),
        "blocked": lambda: leases.blocked(b"gone"),
        "unblocked": lambda: leases.unblocked(b"gone"),
        "worker_died": lambda: leases.worker_died(b"gone"),
    }
    assert not say[event]()
    assert leases.resources.available == leases.resources.total


def test_an_actor_gets_a_worker_that_has_run_nothing() -> None:
    """It may own what others need, and an actor ends."""
    leases = table()
    add_workers(leases, b"w1")
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    leases.decide(0)
    leases.returned(DRIVER, b"w1", 1)
    leases.want_actor(DRIVER, (DRIVER, 5), CPU, CPU, 1, "A", None, "")
    assert leases.decide(2) == [StartWorker()]
    leases.want(DRIVER, 1, CPU, 1, 1, "f")
    assert granted(leases.decide(3)) == [(DRIVER, b"w1")]
    add_workers(leases, b"w2")
    assert leases.decide(4) == [PlaceActor(DRIVER, (DRIVER, 5), b"w2", ())]
