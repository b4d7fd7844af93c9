"""The node's directory of actors."""

from __future__ import annotations

from typing import Any

from paralab.state.directory import ActorDirectory

CREATOR, OTHER, WORKER = b"creator", b"other", b"worker"
REF = (CREATOR, 7)


def test_whoever_asks_is_told_the_creator_too() -> None:
    directory = ActorDirectory()
    record = directory.create(REF, "Counter")
    assert record.askers == {CREATOR}
    assert directory.find(REF, OTHER) is record
    assert record.askers == {CREATOR, OTHER}
    assert directory.placed(REF, WORKER) is record
    assert directory.by_worker == {WORKER: record}


def test_a_question_may_overtake_the_creation() -> None:
    directory = ActorDirectory()
    record = directory.find(REF, OTHER)
    assert not record.dead
    assert record.worker is None
    assert directory.create(REF, "Counter") is record
    assert record.name == "Counter"
    assert record.askers == {OTHER, CREATOR}


def test_an_actor_ends_once_and_is_remembered() -> None:
    directory = ActorDirectory()
    record = directory.create(REF, "Counter")
    directory.placed(REF, WORKER)
    assert directory.ended(REF, "it was killed") is record
    assert directory.ended(REF, "it was killed again") is None
    assert directory.by_worker == {}
    later = directory.find(REF, OTHER)
    assert later.dead
    assert later.text.endswith("it was killed")


def test_actors_go_with_their_creator() -> None:
    directory = ActorDirectory()
    living, dead = (CREATOR, 1), (CREATOR, 2)
    record = directory.create(living, "A")
    directory.create(dead, "B")
    theirs = directory.create((OTHER, 1), "C")
    directory.placed(living, WORKER)
    directory.ended(dead, "")
    assert directory.process_died(CREATOR) == [record]
    assert directory.ended(living, "its owner has died") is record
    assert list(directory.records.values()) == [theirs], "nothing of a dead process is kept"
    assert directory.by_worker == {}


def test_a_handle_that_asks_after_its_creators_death_gets_an_answer() -> None:
    directory = ActorDirectory()
    directory.create(REF, "Counter")
    directory.ended(REF, "")
    directory.process_died(CREATOR)
    for ref in (REF, (CREATOR, 99)):  # the second was never heard of here
        found = directory.find(ref, OTHER)
        assert found.dead
        assert "owner has died" in found.text
    assert directory.records == {}


def test_the_dead_are_told_nothing() -> None:
    directory = ActorDirectory()
    record = directory.create(REF, "Counter")
    directory.find(REF, OTHER)
    assert directory.process_died(OTHER) == []
    assert record.askers == {CREATOR}
    assert not record.dead


def facts(name: str | None = None, *, detached: bool = False, max_restarts: int = 0) -> Any:
    return {
        "given_name": name,
        "namespace": "ours",
        "handle_state": b"state",
        "detached": detached,
        "max_restarts": max_restarts,
        "max_task_retries": 0,
    }


def test_a_name_is_taken_until_its_actor_ends() -> None:
    directory = ActorDirectory()
    assert directory.keep(REF, facts("Ann"))
    assert not directory.keep((OTHER, 1), facts("Ann"))
    assert (OTHER, 1) not in directory.records
    record = directory.create(REF, "Counter")
    assert directory.names == {("ours", "Ann"): record}
    directory.ended(REF, "it was killed")
    assert directory.names == {}
    assert "\tname: Ann\n\tnamespace: ours\nit was killed" in record.text
    assert directory.keep((OTHER, 1), facts("Ann"))


def test_a_lost_process_is_replaced_while_restarts_are_left() -> None:
    directory = ActorDirectory()
    directory.keep(REF, facts(max_restarts=1))
    record = directory.create(REF, "Counter")
    directory.placed(REF, WORKER)
    assert directory.lost(record)
    assert record.worker is None
    assert directory.by_worker == {}
    directory.placed(REF, b"another")
    assert directory.by_worker == {b"another": record}
    assert not directory.lost(record)
    directory.ended(REF, "it is gone")
    assert record.text.endswith("it is gone It was restarted once (max_restarts=1).")


def test_an_actor_that_gave_a_reason_is_not_started_again() -> None:
    directory = ActorDirectory()
    directory.keep(REF, facts(max_restarts=-1))
    record = directory.create(REF, "Counter")
    directory.placed(REF, WORKER)
    record.cause = b"exit_actor"
    assert not directory.lost(record)


def test_a_detached_actor_outlives_its_creator() -> None:
    directory = ActorDirectory()
    directory.keep(REF, facts("Ann", detached=True))
    record = directory.create(REF, "Counter")
    directory.placed(REF, WORKER)
    assert directory.process_died(CREATOR) == []
    assert directory.find(REF, OTHER) is record
    assert directory.names == {("ours", "Ann"): record}
    directory.ended(REF, "it was killed")
    assert directory.records == {}
    assert directory.names == {}
