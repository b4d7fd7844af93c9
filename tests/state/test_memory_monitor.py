"""Who ends when memory runs short."""

from __future__ import annotations

from paralab.state.memory_monitor import (
    LONGEST_DELAY_NS,
    Reading,
    Role,
    Use,
    Verdict,
    account,
    retry_delay_ns,
    victim,
)

MB = 1_000_000


def task(
    name: str, size: int, began: int, owner: bytes = b"a", role: Role = Role.RETRIABLE_TASK
) -> Use:
    return Use(name.encode(), ord(name[0]), size * MB, role, f"task {name}", owner, began)


def chosen(*uses: Use, too_much: float = 10_000) -> Verdict:
    """Who ends, where ``too_much`` MB are used: as a rule more than any single one holds."""
    verdict = victim(uses, too_much * MB)
    assert verdict is not None
    return verdict


def test_the_youngest_of_the_largest_group_goes_and_is_tried_again() -> None:
    uses = [task("a", 100, 1), task("b", 100, 2), task("c", 100, 9, b"b")]
    verdict = chosen(*uses)
    assert (verdict.use.name, verdict.again) == ("task b", True)
    assert "has 1 more that holds much, and it began last" in verdict.why


def test_of_groups_of_one_size_that_which_began_last() -> None:
    verdict = chosen(task("a", 100, 1), task("b", 900, 5, b"b"), task("c", 100, 3, b"c"))
    assert (verdict.use.name, verdict.again) == ("task b", False)


def test_a_task_alone_is_not_tried_again() -> None:
    assert not chosen(task("a", 100, 1)).again
    # Another one that holds next to nothing makes no room.
    verdict = chosen(task("a", 100, 1), task("b", 24, 2))
    assert (verdict.use.name, verdict.again) == ("task a", False)


def test_who_has_just_begun_to_grow_gives_way_to_its_older_sibling() -> None:
    older, younger = task("a", 100, 1), task("b", 5, 2)
    verdict = chosen(older, younger, too_much=4)
    assert (verdict.use.name, verdict.again) == ("task b", True)
    # Where its end is not enough, the older one is all that would make room.
    verdict = chosen(older, younger, too_much=6)
    assert (verdict.use.name, verdict.again) == ("task a", False)
    # The large one is the younger, and others that hold little make no room for it.
    verdict = chosen(task("a", 5, 1), task("b", 100, 2), too_much=4)
    assert (verdict.use.name, verdict.again) == ("task b", False)


def test_nobody_ends_for_having_begun_last_who_is_not_of_the_same_caller_and_kind() -> None:
    for other in (task("b", 5, 2, b"b"), task("b", 5, 2, role=Role.TASK)):
        assert chosen(task("a", 100, 1), other, too_much=4).use.name == "task a"


def test_a_sibling_that_cannot_be_tried_again_makes_room_too() -> None:
    verdict = chosen(task("a", 100, 1), task("b", 300, 2, role=Role.TASK))
    assert (verdict.use.name, verdict.again) == ("task a", True)


def test_who_holds_little_is_spared() -> None:
    hungry = task("x", 1_000, 1, role=Role.ACTOR)
    assert chosen(*(task(chr(97 + n), 240, n) for n in range(9)), hungry).use is hungry


def test_the_order_of_roles() -> None:
    roles = [Role.ACTOR, Role.RESTARTABLE_ACTOR, Role.TASK, Role.RETRIABLE_TASK, Role.IDLE]
    uses = [task("abcde"[n], 100, 10 - n, role=role) for n, role in enumerate(roles)]
    while uses:
        verdict = chosen(*uses)
        assert verdict.use is uses.pop()
        assert verdict.again is (verdict.use.name == "task d")
        assert verdict.why
    assert victim([], 0) is None
    assert victim([task("a", 0, 1)], 0) is None


def test_tasks_and_actors_go_youngest_first() -> None:
    for role in (Role.TASK, Role.RESTARTABLE_ACTOR, Role.ACTOR):
        old, young = task("a", 300, 1, role=role), task("b", 100, 2, b"b", role=role)
        assert chosen(young, old).use is young


def test_pauses_double_up_to_a_minute() -> None:
    assert [retry_delay_ns(n, 1_000) // 10**9 for n in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert retry_delay_ns(10**6, 1_000) == LONGEST_DELAY_NS
    assert retry_delay_ns(5, 0) == 0


def test_what_is_told() -> None:
    reading = Reading(960 * MB, 1_000 * MB, "the machine's")
    assert reading.above(0.95) == 10 * MB
    assert reading.above(0.96) == 0
    uses = [task("a", 20, 1), task("b", 700, 2), *(task("z", 1, n) for n in range(20))]
    text = account(reading, 0.95, chosen(*uses), uses, "ab12")
    assert "Memory on the node (IP: 127.0.0.1, ID: ab12) was 0.96GB used / 1.00GB limit" in text
    assert "threshold of 0.95; the limit is the machine's." in text
    assert "process 98, which held 700 MB for task b" in text
    lines = text.splitlines()
    assert lines[lines.index("PID\tMB\tWHAT") + 1 :][:2] == ["98\t700\ttask b", "97\t20\ttask a"]
    assert len(lines) == 4 + 10
