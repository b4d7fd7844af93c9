"""Rules of the features that only a part of the programs have, each broken on purpose."""

from __future__ import annotations

from typing import Any

from paralab.messages import FAILED
from paralab.process.producing import Flows
from paralab.process.streams import CallerStream, Streams
from paralab.state.streams import Stream
from sim.mutants import MUTANTS, OF_FEATURE, mutant_of, wrap

__all__ = ["MUTANTS", "OF_FEATURE"]


@mutant_of("generators")
def a_generator_runs_too_far_ahead() -> None:
    """A generator pauses when so many items lie untaken as its caller allows."""

    def allow(_original: Any, self: Any) -> None:
        if self.limit > 0:
            self.allowed = self.come - len(self.ready) + self.limit + 1

    wrap(Stream, "_allow", allow)


@mutant_of("generators")
def a_closed_generator_is_not_told() -> None:
    """A generator whose consumer is gone stops at its next yield."""
    wrap(CallerStream, "abandon", lambda _original, self: self.close())


@mutant_of("generators")
def taking_gives_no_credit() -> None:
    """Who takes an item tells the producer that it may go on."""

    def heard(original: Any, self: Any, *message: Any) -> None:
        *_, closed = message
        if closed:
            original(self, *message)

    wrap(Flows, "_on_credit", heard)


@mutant_of("generators")
def a_second_attempt_sends_all_items_again() -> None:
    """A generator that is run again leaves out what its caller has."""

    def opening(original: Any, self: Any) -> Any:
        allowed, _come, closed = original(self)
        return allowed, 0, closed

    wrap(Stream, "opening", opening)


@mutant_of("generators")
def items_after_the_close_are_kept() -> None:
    """What comes for a stream that is closed is let go of at once."""

    def add(_original: Any, self: Any, ref: Any, size: int) -> None:
        self.come += 1
        self.bytes += size
        self.ready.append(ref)

    wrap(Stream, "add", add)


@mutant_of("generators")
def an_error_is_taken_for_the_loss_of_the_task() -> None:
    """What a generator raises is its last item, and its end is a good one."""

    def answered(original: Any, self: Any, task: Any, outcome: int, payload: Any) -> None:
        if outcome == FAILED and isinstance(task.stream, Stream):
            self.failed(task.stream, payload)
        else:
            original(self, task, outcome, payload)

    wrap(Streams, "answered", answered)


@mutant_of("generators")
def the_last_items_are_lost() -> None:
    """The items that ride in the reply belong to the stream."""

    def answered(original: Any, self: Any, task: Any, outcome: int, payload: Any) -> None:
        if isinstance(payload, list) and len(payload) > 2:
            payload = payload[:-1]
        original(self, task, outcome, payload)

    wrap(Streams, "answered", answered)
