"""A machine that is only imagined: its clock, its processes, and which of their threads runs next.

The simulation runs the runtime's own code, all of it: the node's loop, every engine with its baton
and I/O thread, workers with their executors.  What is imagined is what lies below it, the
operating system.  Each imagined thread is a real one, so that it has a stack to wait on; but only
one of them runs at a time, and it hands over only where it would have asked the system for
something: a poll, a lock, a sleep.  Who is next, how long a step takes, when bytes arrive and who
dies is drawn from one seeded generator.  So a run is a function of its seed.

    thread runs ──▶ asks the system ──▶ ``pause``: timers that are due, then a runnable thread
                                            nobody can run: the clock jumps to the next timer

A process that dies has each of its threads raise :class:`Killed` wherever it is.  From then on
nothing that it does reaches anybody.
"""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

from paralab import engine

START_NS = 1_000_000_000_000
MAX_STEPS = 30_000
MAX_NS = 120_000_000_000
"""Of imagined time.  What has not come to an end by then never will."""


class Killed(BaseException):
    """Raised in the threads of a process that has died, wherever they are."""


class Hang(AssertionError):
    """Nothing can go on, or everything goes on for ever."""


class Thread:
    """One thread of an imagined process."""

    def __init__(self, process: Process, name: str, target: Callable[[], Any], number: int) -> None:
        self.process = process
        self.name = name
        self.target = target
        self.ident = number
        self.turn = threading.Lock()
        self.turn.acquire()
        self.waits = 0
        """Counts the waits, so that a timer of an earlier one wakes nobody."""
        self.blocked = False
        self.finished = False

    def is_alive(self) -> bool:
        """As that of real threads."""
        return not self.finished


class Process:
    """One imagined process."""

    def __init__(self, pid: int, name: str, parent: Process | None) -> None:
        self.pid = pid
        self.name = name
        self.parent = parent
        self.engine: Any = None
        self.core: Any = None
        self.dead = False
        self.reaped = False
        self.status = 0
        self.threads: list[Thread] = []
        self.files: dict[int, Any] = {}
        """Its descriptors."""
        self.on_end: list[Callable[[], None]] = []
        self.stalled_until = 0
        self.follows = True
        """Whether it dies with its parent."""
        self.local: dict[str, Any] = {}
        """What the code that it runs keeps for itself."""

    def __repr__(self) -> str:
        return f"{self.name}({self.pid})"


class _Crew:
    """Real threads, kept from one run to the next: starting one costs more than most steps."""

    def __init__(self) -> None:
        self.idle: list[_Hand] = []

    def run(self, thread: Thread, body: Callable[[Thread], None]) -> None:
        hand = self.idle.pop() if self.idle else _Hand(self)
        hand.work = (thread, body)
        hand.wake.release()


class _Hand:
    def __init__(self, crew: _Crew) -> None:
        self.crew = crew
        self.work: tuple[Thread, Callable[[Thread], None]] | None = None
        self.wake = threading.Lock()
        self.wake.acquire()
        threading.Thread(target=self._serve, daemon=True, name="simulated").start()

    def _serve(self) -> None:
        while True:
            self.wake.acquire()
            assert self.work is not None
            (thread, body), self.work = self.work, None
            thread.turn.acquire()
            body(thread)
            del thread, body
            self.crew.idle.append(self)


CREW = _Crew()


class World:
    """One run.

    Args:
        seed: of everything that is left to chance.
        trace: is given a line for each thing worth telling.
    """

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.bits = self.random.getrandbits
        self.trace = trace
        self.now = START_NS
        self.steps = 0
        self.messages = 0
        self.kills = 0
        self.failure: BaseException | None = None
        self.processes: dict[int, Process] = {}
        self.current: Thread
        self.slow = self.bits(2) == 0
        """Whether bytes may take long and overtake those of other sockets."""
        self.max_delay = (20_000, 200_000, 3_000_000, 15_000_000)[self.bits(2)]
        self.ending = False
        self._runnable: list[Thread] = []
        self._timers: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = 0
        self._over = threading.Lock()
        self._over.acquire()
        self._pids = 100
        self.fds = 1_000
        self.facts: Any = None
        """What the program of the run writes down."""
        self.before_message: Callable[[Process], None] | None = None

    def tell(self, text: str) -> None:
        """One line of the story."""
        if self.trace is not None:
            self.trace(f"{(self.now - START_NS) / 1e6:10.3f} ms  {text}")

    # -- processes and threads ---------------------------------------------------------------

    def process(self, name: str, parent: Process | None = None) -> Process:
        """A new process without a thread."""
        self._pids += 1
        process = self.processes[self._pids] = Process(self._pids, name, parent)
        self.tell(f"{process} starts")
        return process

    def thread(self, process: Process, name: str, target: Callable[[], Any]) -> Thread:
        """A new thread; it is runnable."""
        self._numbers += 1
        thread = Thread(process, name, target, self._numbers)
        process.threads.append(thread)
        self._runnable.append(thread)
        CREW.run(thread, self._body)
        return thread

    def _body(self, thread: Thread) -> None:
        try:
            if not thread.process.dead:
                Context().run(thread.target)
        except Killed:
            pass
        except BaseException as error:
            if not thread.process.dead:
                self.fail(error)
        thread.target = _nothing
        thread.finished = True
        thread.process.threads.remove(thread)
        following = self._next()
        if following is None:
            self._over.release()
        else:
            self._hand_over(following)

    def run(self) -> None:
        """Runs until no thread is left; the outermost thread calls it."""
        following = self._next()
        assert following is not None
        self._hand_over(following)
        self._over.acquire()
        if self.failure is not None:
            raise self.failure

    def fail(self, error: BaseException) -> None:
        """The run has failed: everything ends, and this is why."""
        if self.failure is None:
            self.failure = error
            self.tell(f"FAILED: {type(error).__name__}: {error}")
        self.end()

    def end(self) -> None:
        """Ends all processes."""
        self.ending = True
        for process in self.processes.values():
            self._die(process, 9)

    def exit(self, process: Process, code: int) -> None:
        """The process ends by itself."""
        if not process.dead:
            self.tell(f"{process} exits with code {code}")
            self._die(process, code << 8)

    def kill(self, process: Process, signal: int = 9) -> None:
        """SIGKILL."""
        if not process.dead:
            self.tell(f"{process} IS KILLED")
            self._die(process, signal)

    def _die(self, process: Process, status: int) -> None:
        if process.dead:
            return
        process.dead = True
        process.status = status
        for thread in process.threads:
            if thread.blocked:
                thread.blocked = False
                self._runnable.append(thread)
        for action in process.on_end:
            action()
        for file in list(process.files.values()):
            file.close()
        process.files.clear()
        for child in list(self.processes.values()):
            if child.parent is process and child.follows:  # PDEATHSIG
                self._die(child, 9)

    def check_alive(self) -> None:
        """Raises Killed in a thread of a dead process."""
        if self.current.process.dead:
            raise Killed

    # -- time --------------------------------------------------------------------------------

    def later(self, delay_ns: int, action: Callable[..., None], *args: Any) -> None:
        """Has ``action`` called after a while."""
        self._numbers += 1
        heapq.heappush(self._timers, (self.now + delay_ns, self._numbers, action, args))

    def sleep(self, timeout_ns: int | None) -> None:
        """The current thread waits until it is woken or time is up."""
        thread = self.current
        thread.waits += 1
        thread.blocked = True
        if timeout_ns is not None:
            self.later(timeout_ns, self.wake, thread, thread.waits)
        self._pause()

    def give_way(self) -> None:
        """Others may run before the current thread goes on."""
        self._runnable.append(self.current)
        self._pause()

    def wake(self, thread: Thread, wait: int = 0) -> None:
        """Ends a thread's ``sleep``."""
        if thread.blocked and (not wait or wait == thread.waits):
            thread.blocked = False
            self._runnable.append(thread)

    def _pause(self) -> None:
        me = self.current
        if me.process.dead:
            if me.blocked:
                me.blocked = False
            elif me in self._runnable:
                self._runnable.remove(me)
            raise Killed
        following = self._next()
        assert following is not None
        if following is not me:
            self._hand_over(following)
            me.turn.acquire()
        if me.process.dead:
            raise Killed

    def _hand_over(self, thread: Thread) -> None:
        thread.turn.release()

    def _next(self) -> Thread | None:
        """Who runs next; None if nobody is left."""
        runnable, timers = self._runnable, self._timers
        while True:
            while timers and timers[0][0] <= self.now and not self.ending:
                _when, _number, action, args = heapq.heappop(timers)
                action(*args)
            if runnable:
                at = self.bits(8) % len(runnable) if len(runnable) > 1 else 0
                thread = runnable[at]
                runnable[at] = runnable[-1]
                runnable.pop()
                stalled = thread.process.stalled_until
                if stalled > self.now and not self.ending:
                    thread.blocked = True
                    self.later(stalled - self.now, self.wake, thread, thread.waits)
                    continue
                self.steps += 1
                self.now += 300 + self.bits(13)
                if not self.ending:
                    if self.steps > MAX_STEPS:
                        self.fail(Hang(f"more than {MAX_STEPS} steps"))
                    elif self.now > START_NS + MAX_NS:
                        self.fail(Hang(f"more than {MAX_NS / 1e9:.0f} s"))
                self.current = thread
                engine._Slot.engine = thread.process.engine
                return thread
            if self.ending or not timers:
                if self.ending or not any(p.threads for p in self.processes.values()):
                    return None
                self.fail(Hang("every thread waits for ever"))
                continue
            self.now = timers[0][0]


def _nothing() -> None:
    pass
