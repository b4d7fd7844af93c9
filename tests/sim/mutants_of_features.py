"""Rules of the features that only a part of the programs have, each broken on purpose."""

from __future__ import annotations

from typing import Any

from paralab.messages import FAILED
from paralab.process import assignment
from paralab.process.capture import capture
from paralab.process.lanes import Lanes
from paralab.process.loop_lane import LoopLane
from paralab.process.node_groups import NodeGroups
from paralab.process.producing import Flows
from paralab.process.streams import CallerStream, Streams
from paralab.process.thread_lane import ThreadLane
from paralab.runtime_env.on_client import ClientEnvironments
from paralab.state import leases
from paralab.state.environments import Environments
from paralab.state.lease_parts import take_idle
from paralab.state.leases import LeaseTable
from paralab.state.placement import GroupState, GroupTable
from paralab.state.places import Places
from paralab.state.pool import Pool
from paralab.state.streams import Stream
from sim.mutants import FIRST, MUTANTS, OF_FEATURE, mutant_of, wrap

__all__ = ["FIRST", "MUTANTS", "OF_FEATURE"]


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


@mutant_of("generators", first=270)
def a_second_attempt_sends_all_items_again() -> None:
    """A generator that is run again leaves out what its caller has."""

    def opening(original: Any, self: Any) -> Any:
        allowed, _come, closed = original(self)
        return allowed, 0, closed

    wrap(Stream, "opening", opening)


@mutant_of("generators", first=90)
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


@mutant_of("generators", first=250)
def the_last_items_are_lost() -> None:
    """The items that ride in the reply belong to the stream."""

    def answered(original: Any, self: Any, task: Any, outcome: int, payload: Any) -> None:
        if isinstance(payload, list) and len(payload) > 2:
            payload = payload[:-1]
        original(self, task, outcome, payload)

    wrap(Streams, "answered", answered)


@mutant_of("groups")
def a_removed_group_leaves_its_workers() -> None:
    """What runs in a group ends with it."""

    def end_group(original: Any, self: Any, *group: Any) -> Any:
        return original(self, *group)[:1]

    wrap(Places, "end_group", end_group)


@mutant_of("groups")
def a_removed_bundle_is_not_given_back() -> None:
    """What is free in a group that is removed is the node's again."""
    wrap(Pool, "absorb", lambda _original, _self, _other: None)


@mutant_of("groups")
def what_waits_for_a_removed_group_is_not_told() -> None:
    """A task for a group that is gone is refused; one for a group that waits, waits."""
    wrap(GroupTable, "pools_for", lambda original, self, *what: original(self, *what) or [])


@mutant_of("groups")
def nobody_hears_of_a_removal() -> None:
    """Who waits for a group hears of its removal, too."""

    def tell(original: Any, self: Any, group: Any) -> None:
        if group.state is GroupState.CREATED:
            original(self, group)

    wrap(NodeGroups, "tell", tell)


@mutant_of("groups")
def any_bundle_will_do() -> None:
    """A task for one bundle takes nothing from another."""
    wrap(GroupTable, "pools_for", lambda original, self, group, _bundle: original(self, group, -1))


@mutant_of("groups", first=450)
def a_lease_keeps_the_capture_of_the_last() -> None:
    """What is started by a task that captures nothing is in no group."""

    def capturing(core: Any, where: Any) -> None:
        if where is not None and where.captures:
            capture(core, where)

    vars(assignment)["capture"] = capturing


@mutant_of("environments")
def any_idle_worker_will_do() -> None:
    """A task runs in a worker of its environment."""

    def any_idle(idle: Any, job: Any, environment: Any, node: Any, request: Any) -> Any:
        kinds = {worker.environment for worker in idle.values()} | {environment}
        found = (take_idle(idle, job, kind, node, request) for kind in sorted(kinds))
        return next(filter(None, found), None)

    vars(leases)["take_idle"] = any_idle


@mutant_of("environments")
def children_have_no_environment() -> None:
    """What a task starts has its environment, but for what it says itself."""

    def made(original: Any, self: Any, core: Any) -> None:
        original(self, core)
        self._own = {}

    wrap(ClientEnvironments, "__init__", made)


@mutant_of("environments")
def an_environment_is_built_for_each_request() -> None:
    """What has to be built is built once, however many wait for it."""

    def prepare(original: Any, self: Any, key: str) -> Any:
        self._known[key].is_being_built = False
        return original(self, key)

    wrap(Environments, "prepare", prepare)


@mutant_of("environments")
def a_failed_build_is_told_to_one() -> None:
    """All that wait for an environment that cannot be built fail with the reason."""

    def environment_failed(original: Any, self: Any, environment: str, text: str) -> Any:
        return original(self, environment, text)[:1]

    wrap(LeaseTable, "environment_failed", environment_failed)


@mutant_of("environments", first=340)
def a_failed_build_counts_as_done() -> None:
    """The workers of an environment are started once it is there."""
    wrap(Environments, "failed", lambda _original, self, key: self.built(key))


@mutant_of("lanes")
def one_thread_too_many() -> None:
    """A group of a threaded actor runs as many calls at once as its limit says."""

    def made(original: Any, self: Any, lanes: Any, name: str, limit: int) -> None:
        original(self, lanes, name, limit + 1)

    wrap(ThreadLane, "__init__", made)


@mutant_of("lanes")
def one_coroutine_too_many() -> None:
    """A group of an async actor runs as many calls at once as its limit says."""

    def start_some(original: Any, self: Any) -> None:
        self.limit += 1
        original(self)
        self.limit -= 1

    wrap(LoopLane, "start_some", start_some)


@mutant_of("lanes")
def a_lane_is_told_once_only() -> None:
    """A loop in another thread is told of calls each time that it may have none."""

    def start_some(original: Any, self: Any) -> None:
        original(self)
        self._told = True

    wrap(LoopLane, "start_some", start_some)


@mutant_of("lanes")
def calls_begin_before_the_constructor_has_run() -> None:
    """The gate is shut until the instance is there."""

    def take(original: Any, self: Any, call: Any) -> None:
        original(self, call)
        if self._lanes and len(self._gate or ()) == 1:
            self._open()

    wrap(Lanes, "take", take)


@mutant_of("lanes")
def a_finished_call_lets_nobody_in() -> None:
    """When a call of a lane is over, the next one begins."""
    wrap(LoopLane, "ended", lambda _original, self, call: self._tasks.pop(call, None))


@mutant_of("lanes")
def a_call_that_waits_in_a_lane_cannot_be_cancelled() -> None:
    """A call that is cancelled before it begins is answered at once, and begins no more."""

    def cancel(original: Any, self: Any, caller: Any, key: int, recursive: bool) -> None:
        call = self._calls.get((caller, key))
        if call is not None and not call.begun:
            call.cancelled, call.template = True, None
        else:
            original(self, caller, key, recursive)

    wrap(Lanes, "cancel", cancel)
