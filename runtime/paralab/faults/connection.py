"""Connections that a fault switch has its hands in; see ``rules`` for what it does.

::

    messages ──▶ ReliableConnection ──frames──▶ the switch ──▶ socket
                 numbers, keeps, sends again    loses, doubles, delays, cuts, kills

Each message has a frame of its own here, so that what happens to it happens to it alone.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from paralab.faults.rules import EVERY, Rule, parse
from paralab.ids import Address
from paralab.transport.connection import Message
from paralab.transport.reliable import Frame, ReliableConnection


class FaultSwitch:
    """The rules, as one process obeys them.  It is off until ``load``."""

    def __init__(self) -> None:
        self.role = ""
        self._folder = ""
        self._rules: tuple[Rule, ...] = ()
        self._random: list[random.Random] = []
        self._counts: Counter[int] = Counter()

    def load(self, text: str, role: str, number: int, folder: str) -> None:
        """Turns it on.

        Args:
            text: the rules.
            role: what this process is.
            number: which one it is, so that not all do the same by chance.
            folder: of the session; a rule that has acted leaves a file there.
        """
        self._rules = parse(text, "faults")
        self._random = [random.Random(f"{rule.seed} {number}") for rule in self._rules]  # noqa: S311
        self.role, self._folder = role, folder

    def fault(self, message: int, sender: str, receiver: str, at: str = "send") -> Rule | None:
        """The rule that acts on this message, if one does."""
        for number, rule in enumerate(self._rules):
            if rule.fits(message, sender, receiver, at) and self._acts(number, rule):
                return rule
        return None

    def _acts(self, number: int, rule: Rule) -> bool:
        if rule.chance:
            return self._random[number].random() < rule.chance and self._mark(number, False)
        self._counts[number] += 1
        if rule.nth == EVERY:
            return self._mark(number, False)
        return self._counts[number] >= rule.nth and self._mark(number, True)

    def _mark(self, number: int, once: bool) -> bool:
        """Leaves a file that says that the rule has acted; whether it is ours to act."""
        path = os.path.join(self._folder, mark(number))
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL * once, 0o600))
        except OSError:  # it has acted, or the session is at its end
            return False
        return True


def mark(number: int) -> str:
    """The name of the file that says that the rule of this number, from 0, has acted."""
    return f"fault-{number}"


class FaultyConnection(ReliableConnection):
    """A connection under a fault switch.

    Args:
        receiver: the role of the process at the other end.
    """

    __slots__ = ("_late", "_receiver", "_switch")

    def __init__(
        self,
        sock: socket.socket,
        peer: Address,
        descriptors: bool,
        clock: Callable[[], float],
        on_break: Callable[[ReliableConnection], None],
        switch: FaultSwitch,
        receiver: str,
    ) -> None:
        super().__init__(sock, peer, descriptors, clock, on_break)
        self._switch = switch
        self._receiver = receiver
        self._late: list[tuple[float, Frame]] = []

    def _post(self, messages: list[Message], descriptors: list[int]) -> None:
        for message in messages:
            frame = self._framed([message], descriptors)
            switch = self._switch
            self._suffer(frame, switch.fault(message[0], switch.role, self._receiver))

    def _suffer(self, frame: Frame, rule: Rule | None) -> None:
        match rule.action if rule else "":
            case "lose":
                pass
            case "double":
                self._put(frame)
                self._put(frame)
            case "delay":
                assert rule is not None
                self._late.append((self._clock() + rule.seconds, frame))
            case "cut":
                self._put((frame[0][: len(frame[0]) // 2], frame[1]))
                self._push()
                with suppress(OSError):  # it is broken already
                    self._socket.shutdown(socket.SHUT_RDWR)
                self._break()
            case "kill":
                self._push()
                os.kill(os.getpid(), signal.SIGKILL)
            case _:
                self._put(frame)

    def receive(self) -> list[Any]:
        """See :class:`Connection`."""
        messages = super().receive()
        switch = self._switch
        for message in messages:
            if switch.fault(message[0], self._receiver, switch.role, "receive"):
                os.kill(os.getpid(), signal.SIGKILL)
        return messages

    def due(self) -> float:
        """See :class:`ReliableConnection`."""
        return min([super().due(), *(when for when, _frame in self._late)])

    def tick(self) -> None:
        """See :class:`ReliableConnection`."""
        now = self._clock()
        for late in [late for late in self._late if late[0] <= now]:
            self._late.remove(late)
            if any(late[1] is frame for frame in self.resending.kept):  # it is needed
                self._put(late[1])
        super().tick()
