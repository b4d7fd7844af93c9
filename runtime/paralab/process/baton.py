"""Who runs the engine: one thread at a time, the one that holds the baton.

All tables and sockets of a process belong to the baton's holder, so none of them needs a lock
and a synchronous call needs no thread switch: the thread that waits in ``get`` reads the
sockets itself.

::

    user thread in get ──takes──▶ baton ◀──takes── I/O thread, when nobody is in get
    other user threads  ──▶ followers: each sleeps on a lock of its own until the leader
                            finds that what it waits for is there, or hands it the baton

While user threads lead in quick turns, the I/O thread must not fight for the baton: it looks in
every ``TICK`` and takes over once a whole tick has passed without a leader.  When a leader stays
in for long, the I/O thread sleeps until that one leaves.

KeyboardInterrupt can strike between any two bytecodes of the main thread.  While the main thread
leads, SIGINT's Python handler is therefore one that only makes a note; the note is acted upon at
the first moment at which the tables are whole.  (Rejected: making each state change a single C
call.  It works, but every later change of this code would have to know it.)
"""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

TICK = 0.004
"""Seconds between two looks of the I/O thread while user threads lead."""

_SIGINT = int(signal.SIGINT)
# The functions of C themselves: ``signal.signal`` wraps them in enums, at ten times the cost.
_set_handler: Callable[[int, Any], Any] = signal._signal.signal  # type: ignore[attr-defined]
_get_handler: Callable[[int], Any] = signal._signal.getsignal  # type: ignore[attr-defined]


class Work(Protocol):
    """What the baton's holder does."""

    def turn(self) -> None:
        """Empties the mailbox, decides and sends.  Does not wait."""

    def listen(self, timeout: float | None, eager: bool = False) -> Any:
        """Waits at most ``timeout`` seconds for sockets, timers or the bell, and handles.

        ``eager`` lets it look for a moment before it sleeps.  Returns whether that left something
        for a turn to do.
        """


class Mailbox:
    """What any thread leaves for the holder of the baton, and the bell that wakes it."""

    __slots__ = (
        "_ring",
        "asleep",
        "changes",
        "dropped",
        "forgets",
        "forgotten",
        "requests",
        "submissions",
    )

    def __init__(self, ring: Callable[[], object]) -> None:
        self._ring = ring
        self.asleep = False
        self.submissions: deque[Any] = deque()
        self.requests: deque[Callable[[], None]] = deque()
        self.changes: deque[Any] = deque()
        self.forgets: deque[Any] = deque()
        self.dropped = self.changes.append
        self.forgotten = self.forgets.append

    def wake(self) -> None:
        """Rings once; nobody rings again until the holder has gone to sleep anew."""
        if self.asleep:
            try:
                # No interrupt comes between these two, as the bell is a function of C.
                self.asleep = False
                self._ring()
            except OSError:
                pass  # the bell has been closed, or rings already

    def ring(self) -> None:
        """Rings whether or not somebody sleeps."""
        try:
            self._ring()
        except OSError:
            pass

    def disable(self) -> None:
        """After shutdown, and in a forked child: finalisers leave nothing and wake nobody."""
        self.asleep = False
        nowhere: deque[Any] = deque(maxlen=0)
        self.dropped = nowhere.append
        self.forgotten = nowhere.append
        self._ring = _nothing


def _nothing() -> None:
    pass


def _ignore(_number: int, _frame: Any) -> None:
    pass


class _Follower:
    __slots__ = ("done", "lock")

    def __init__(self, done: Callable[[], Any]) -> None:
        self.done = done
        self.lock = threading.Lock()
        self.lock.acquire()


class Baton:
    """The right to run one engine, and the thread that runs it when no user thread does."""

    def __init__(self, work: Work, mailbox: Mailbox, name: str) -> None:
        self._work = work
        self._mailbox = mailbox
        self._lock = threading.Lock()
        self._holder = 0
        self._uses = 0
        self._claims = 0
        """User threads that want the baton from the I/O thread."""
        self._yield = False
        self._followers: deque[_Follower] = deque()
        self._parked = False
        self._bell = threading.Lock()
        self._bell.acquire()
        self._closing = False
        self._interrupt: tuple[int, Any] | None = None
        self.interrupted: Callable[[int, Any], None] = _ignore
        """What is done about a note that is not SIGINT's, in a worker: it may raise."""
        self._main = threading.main_thread().ident
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        """Starts the I/O thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the I/O thread; the caller must not hold the baton."""
        if self._closing:
            return
        self._closing = True
        self._mailbox.ring()
        self._ring_bell()
        if self._thread.is_alive() and threading.get_ident() != self._thread.ident:
            self._thread.join(timeout=5)
        self._lock.acquire(timeout=5)  # for good: no other thread leads any more

    def held_here(self) -> bool:
        """Whether the calling thread holds the baton (a finaliser that runs inside a step)."""
        return self._holder == threading.get_ident()

    # -- user threads ------------------------------------------------------------------------

    def wait(self, done: Callable[[], Any], deadline: float | None) -> bool:
        """Runs the engine, or lets another thread run it, until ``done()`` or the deadline.

        Args:
            done: looks at the tables; cheap, called after each step.
            deadline: in ``time.monotonic()`` seconds, or None.

        Returns:
            whether it is done.

        Raises:
            KeyboardInterrupt: the tables are whole; the wait may be repeated.
            RuntimeError: called from a finaliser that runs inside the engine.
        """
        me = threading.get_ident()
        if self._holder == me:
            raise RuntimeError(
                "a __del__ method or garbage collection callback waits for a paralab object "
                "while the runtime itself is at work: move the wait out of the finaliser."
            )
        if me != self._main:
            return self._wait(done, deadline, me)
        while callable(theirs := _get_handler(_SIGINT)):
            noted = False
            _set_handler(_SIGINT, self.note)
            try:
                finished = self._wait(done, deadline, me)
            finally:
                _set_handler(_SIGINT, theirs)
                if self._interrupt is not None:
                    noted = True
                    self._act(theirs)
            if finished or not noted:
                return finished
            # Their handler did not raise: the wait goes on.
        while True:
            finished = self._wait(done, deadline, me)
            if self._interrupt is None:
                return finished
            self._act(_ignore)
            if finished:
                return True

    def _act(self, theirs: Callable[[int, Any], None]) -> None:
        # A function of its own, because a frame that keeps one above it is a cycle.
        assert self._interrupt is not None
        (number, frame), self._interrupt = self._interrupt, None
        (theirs if number == _SIGINT else self.interrupted)(number, frame)

    def note(self, number: int, frame: Any) -> None:
        """The handler of a signal that strikes while the main thread is in ``wait``."""
        self._interrupt = (number, frame)
        self._mailbox.ring()

    def _wait(self, done: Callable[[], Any], deadline: float | None, me: int) -> bool:
        while True:
            if self._lock.acquire(False):
                if self._lead(done, deadline, me):
                    return True
            else:
                if done():
                    return True
                self._follow(done, deadline)
            if self._interrupt is not None and me == self._main:
                return bool(done())
            if deadline is not None and time.monotonic() >= deadline:
                return bool(done())

    def _lead(self, done: Callable[[], Any], deadline: float | None, me: int) -> bool:
        self._holder = me
        try:
            turn, listen = self._work.turn, self._work.listen
            followers = self._followers
            turn()
            while not done():
                if self._closing or (self._interrupt is not None and me == self._main):
                    return bool(self._closing)
                timeout = None
                if deadline is not None:
                    timeout = deadline - time.monotonic()
                    if timeout <= 0:
                        return False
                if listen(timeout, not followers):
                    turn()
                if followers:
                    self._release_followers()
            return True
        finally:
            self._leave()

    def _leave(self) -> None:
        self._holder = 0
        self._uses += 1
        self._lock.release()
        if self._followers:
            self._promote()
        if self._parked:
            self._ring_bell()

    def _follow(self, done: Callable[[], Any], deadline: float | None) -> None:
        follower = _Follower(done)
        self._followers.append(follower)
        self._claims += 1
        try:
            # Whoever polls, or is about to, sees the claim; "asleep" may lag behind.
            self._mailbox.ring()
            timeout = -1.0 if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._lock.locked():  # the leader left before it could see us
                return
            # An interrupt has to be looked for: the lock itself does not end for a note.
            follower.lock.acquire(True, min(timeout, 0.2) if timeout >= 0 else 0.2)
        finally:
            self._claims -= 1
            try:
                self._followers.remove(follower)
            except ValueError:
                pass

    def _release_followers(self) -> None:
        for follower in list(self._followers):
            if follower.done():
                self._wake_follower(follower)

    def _promote(self) -> None:
        for follower in list(self._followers):
            self._wake_follower(follower)
            return

    @staticmethod
    def _wake_follower(follower: _Follower) -> None:
        try:
            follower.lock.release()
        except RuntimeError:
            pass  # it has been woken already

    def pump(self) -> None:
        """One turn of the engine without waiting.

        Where the I/O thread is at it, that one leaves the baton to us for a while: a thread that
        submits in a loop and an I/O thread that wants the interpreter lock after each of its
        system calls would slow each other down.
        """
        if self._holder != threading.get_ident():
            self._yield = True
            self.wait(self._glance, 0.0)
            self._mailbox.wake()  # or it would sleep on what we have left to be sent

    def _glance(self) -> bool:
        if self._holder == threading.get_ident():
            self._work.listen(0.0)
        return True

    # -- the I/O thread ----------------------------------------------------------------------

    def _ring_bell(self) -> None:
        self._parked = False
        try:
            self._bell.release()
        except RuntimeError:
            pass

    def _serve(self) -> None:
        me = threading.get_ident()
        seen = -1
        while not self._closing:
            if self._uses != seen:  # user threads lead in quick turns
                seen = self._uses
                self._bell.acquire(True, TICK)
            elif self._lock.acquire(False):
                self._holder = me
                try:
                    self._serve_turns()
                finally:
                    self._holder = 0
                    self._lock.release()
                    if self._followers:
                        self._promote()
                seen = self._uses
                self._bell.acquire(True, TICK)
            else:  # one leader has been in for a whole tick: sleep until it leaves
                self._parked = True
                if self._lock.locked():
                    self._bell.acquire()
                self._parked = False

    def _serve_turns(self) -> None:
        turn, listen = self._work.turn, self._work.listen
        self._yield = False
        turn()
        while not (self._claims or self._yield or self._closing):
            if listen(None):
                turn()
            if self._followers:
                self._release_followers()
