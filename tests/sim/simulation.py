"""One run: a random program, random deaths, and the question whether all was right."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, NamedTuple

from paralab.exceptions import LocalNodeDied
from sim import checks, expecting, modules, performing, programs
from sim.session import Session
from sim.story import Tap
from sim.world import Process, World

REST_NS = 60_000_000_000
"""Within this time after the program's end nothing may be left under way."""


class Report(NamedTuple):
    """What a run that went right was like."""

    steps: int
    messages: int
    kills: int
    scripts: int
    seconds: float
    """Of imagined time."""


class Violation(AssertionError):
    """A run went wrong."""


class _Plan:
    """Who dies and who stands still, and at which message."""

    def __init__(self, world: World, session: Session) -> None:
        rng = world.random
        self._world = world
        self._session = session
        count = rng.choice((0, 0, 0, 1, 1, 2, programs.MOST_DEATHS)) if rng.random() < 0.9 else 0
        last = rng.choice((30, 80, 200))
        self._deaths = {rng.randrange(8, last): self._death() for _ in range(count)}
        self._stalls = {rng.randrange(5, last) for _ in range(rng.choice((0, 0, 1, 3)))}
        self.faulty = count > 0
        self.session_ends = any(who in ("driver", "node") for who in self._deaths.values())
        world.before_message = self.before

    def _death(self) -> str:
        chance = self._world.random.random()
        if chance < 0.04:
            return "driver"
        if chance < 0.08:
            return "node"
        return "this one" if chance < 0.5 else "some" if chance < 0.9 else "several"

    def before(self, process: Process) -> None:
        """A message is going to be handled."""
        world = self._world
        number = world.messages
        if number in self._stalls:
            victims = [p for p in world.processes.values() if not p.dead]
            victim = world.random.choice(victims)
            pause = world.random.choice((100_000, 3_000_000, 30_000_000, 300_000_000))
            world.tell(f"{victim} stands still for {pause / 1e6} ms")
            victim.stalled_until = world.now + pause
        who = self._deaths.get(number)
        if who is None:
            return
        workers = [p for p in world.processes.values() if p.name[0] == "w" and not p.dead]
        if who == "driver":
            world.kill(self._session.driver)
        elif who == "node":
            world.kill(self._session.node_process)
        elif who == "this one" and process in workers:
            self._kill([process])
        elif workers:
            count = world.random.randrange(1, len(workers) + 1) if who == "several" else 1
            self._kill(world.random.sample(workers, count))

    def _kill(self, workers: list[Process]) -> None:
        """At once, or in the middle of what they do then."""
        world = self._world
        world.kills += len(workers)
        delay = world.random.choice((0, 0, 100_000, 2_000_000))
        pause = world.random.randrange(delay) if delay else 0
        for worker in workers:
            if pause:
                world.later(pause, world.kill, worker)
            else:
                world.kill(worker)


class Run:
    """One seed."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.world = world = World(seed, trace)
        modules.enter(world)
        maker = programs.Maker(world.random, programs.features_of(seed))
        self._program = maker.program()
        world.facts = self.facts = performing.Facts(maker.scripts)
        self._outcome: Any = None
        self._finished = False
        cpus = world.random.choice((1, 2, 2, 4)) + maker.holds_cpu + maker.grouped_cpus
        capacity = world.random.choice((8 << 20, 8 << 20, 1 << 20))
        self.session = Session(world, self._main, cpus, capacity)
        self._plan = _Plan(world, self.session)
        Tap.after = self._after

    def _after(self, process: Process, kind: int) -> None:
        if process is self.session.node_process and self.session.node is not None:
            checks.check_node(self.session.node, kind)

    def _main(self, _session: Session) -> None:
        try:
            self._outcome = performing.perform(self._program, ())
            self._settle()
        except LocalNodeDied:
            if not self._plan.session_ends:
                raise
        self._finished = True

    def _settle(self) -> None:
        """Waits until nothing is under way; raises if something stays."""
        world = self.world
        until = world.now + REST_NS
        pause = 250_000_000
        while True:
            world.sleep(pause)
            if self.session.node_process.dead:
                return
            left = checks.not_at_rest(self.session)
            if not left:
                return
            gc.collect()  # exceptions keep frames, and frames refs
            if world.now > until:
                raise Violation("at rest there is still: " + "; ".join(left))
            pause = min(2 * pause, 10_000_000_000)

    def run(self) -> Report:
        """Runs it.

        Raises:
            AssertionError: something was not right.
        """
        world = self.world
        world.run()
        plan = self._plan
        checks.check_calls(self.facts)
        if not self._finished and not self.session.driver.status == 9:
            raise Violation("the driver ended before its program")
        if self._outcome is not None:
            want = expecting.expected(self._program, [])
            also = expecting.also_right(self._program)
            wrong = expecting.differs(self._outcome, want, plan.faulty, also)
            if wrong:
                raise Violation(wrong)
        left = [process for process in world.processes.values() if not process.dead]
        if left:
            raise Violation(f"still there: {left}")
        return Report(
            world.steps, world.messages, world.kills, len(self.facts.scripts),
            (world.now - 10**12) / 1e9,
        )  # fmt: skip
