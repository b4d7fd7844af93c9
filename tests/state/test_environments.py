"""Workers by environment: who gets which, what is built when, and who makes room."""

from __future__ import annotations

from paralab.state.lease_instructions import (
    BuildEnvironment,
    Grant,
    Instruction,
    RefuseEnvironment,
    Retire,
    StartWorker,
)
from paralab.state.leases import LeaseTable
from paralab.state.resources import Resources
from paralab.task_spec import RESOURCE_UNIT as ONE

DRIVER = b"driver"
JOB = b""
"""Of short addresses."""
CPU = {"CPU": ONE}


def table(soft: int = 64) -> LeaseTable:
    leases = LeaseTable(Resources({"CPU": 4 * ONE}), soft, 2_000)
    leases.environments.add("vars", must_build=False)
    leases.environments.add("pip", must_build=True)
    return leases


def want(leases: LeaseTable, number: int, environment: str, count: int = 1) -> list[Instruction]:
    leases.want(DRIVER, number, CPU, count, 1, "f", None, environment)
    return leases.decide(0)


def test_a_worker_of_another_environment_is_never_given() -> None:
    leases = table()
    leases.worker_ready(b"plain", 0)
    assert want(leases, 1, "vars") == [StartWorker(JOB, "vars")]
    assert leases.decide(0) == [], "it is under way"
    leases.worker_ready(b"vars", 0, "vars")
    assert leases.decide(0) == [Grant(DRIVER, 1, b"vars", ())]
    assert want(leases, 2, "") == [Grant(DRIVER, 2, b"plain", ())]


def test_what_has_to_be_built_is_built_once_and_holds_nobody_up() -> None:
    leases = table()
    leases.worker_ready(b"plain", 0)
    assert want(leases, 1, "pip", 3) == [BuildEnvironment("pip")]
    assert want(leases, 2, "pip") == []
    assert want(leases, 3, "") == [Grant(DRIVER, 3, b"plain", ())]
    leases.environments.built("pip")
    started = leases.decide(0)
    assert started == [StartWorker(JOB, "pip")] * 3, "one CPU of four is taken"


def test_a_failure_reaches_those_who_wait_and_is_not_kept() -> None:
    leases = table()
    want(leases, 1, "pip")
    leases.want_actor(DRIVER, (DRIVER, 7), CPU, {}, 1, "A", None, "pip")
    want(leases, 2, "vars")
    assert leases.environment_failed("pip", "no such package") == [
        RefuseEnvironment(DRIVER, 1, None, "no such package"),
        RefuseEnvironment(DRIVER, 0, (DRIVER, 7), "no such package"),
    ]
    assert [request.environment for request in leases.requests] == ["vars"]
    assert want(leases, 3, "pip") == [BuildEnvironment("pip")]


def test_workers_that_never_report_give_an_environment_up() -> None:
    leases = table()
    failed = [leases.environments.start_failed("vars") for _ in range(3)]
    assert failed == [False, False, True]
    leases.environments.failed("vars")
    assert leases.environments.is_ready("vars"), "nothing had to be built, so it may be tried"
    leases.environments.start_failed("vars")
    leases.environments.started("vars")
    assert not leases.environments.start_failed("vars"), "only failures in a row count"
    assert not any(leases.environments.start_failed("") for _ in range(9))


def test_at_a_limit_the_one_that_is_idle_longest_makes_room() -> None:
    leases = table(soft=2)
    leases.hard_limit = 2
    leases.worker_ready(b"old", 0)
    leases.worker_ready(b"newer", 5)
    assert want(leases, 1, "vars") == [Retire(b"old")]
    assert leases.decide(0) == [], "one at a time"
    leases.worker_ready(b"old", 9)  # it owns objects and must stay
    assert leases.decide(0) == [Retire(b"newer")], "none is asked twice"
    leases.worker_died(b"newer")
    assert leases.decide(0) == [StartWorker(JOB, "vars")]


def test_a_worker_that_somebody_waits_for_does_not_make_room() -> None:
    leases = table(soft=1)
    leases.hard_limit = 1
    leases.worker_ready(b"plain", 0)
    leases.want(DRIVER, 1, CPU, 1, 2, "deeper", None, "vars")
    assert want(leases, 2, "") == [Grant(DRIVER, 2, b"plain", ())]
