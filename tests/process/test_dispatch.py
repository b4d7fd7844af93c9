"""Actions for descriptors that are ready, while numbers change hands."""

from __future__ import annotations

from collections.abc import Callable

from paralab.process.dispatch import dispatch


def test_what_was_found_of_a_closed_descriptor_is_not_taken_for_its_successors() -> None:
    told = []

    def first(_event: int) -> None:
        told.append("first")
        watched[8] = lambda _event: told.append("new")  # the number was free, and is given away
        del watched[9]

    watched: dict[int, Callable[[int], None]] = {
        7: first,
        8: lambda _event: told.append("old"),
        9: lambda _event: told.append("gone"),
    }
    dispatch(watched, [(7, 1), (8, 1), (9, 1), (10, 1)])
    assert told == ["first"]
    dispatch(watched, [(8, 1)])
    assert told == ["first", "new"]
