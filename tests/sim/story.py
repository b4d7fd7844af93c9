"""What is told of a run, message by message, and the moments at which a process may die."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from paralab import messages
from sim.world import Process, World

SHOWN = 240


def names() -> dict[int, str]:
    """The kinds of messages, by number."""
    found: dict[int, str] = {}
    for name, value in vars(messages).items():
        if name.isupper() and type(value) is int and name not in {"FUNCTION", "METHOD", "ACTOR"}:
            if name not in {"INLINE", "STORED", "FAILED", "SEVERAL"}:
                found[value] = name
    return found


NAMES = names()


class Tap(dict[int, Callable[..., None]]):
    """The message handlers of one process, and a look at each message before it is handled."""

    after: Callable[[Process, int], None] | None = None
    """Is called once it has been."""

    def __init__(
        self, handlers: dict[int, Callable[..., None]], world: World, process: Process
    ) -> None:
        super().__init__()
        self._handlers = handlers
        self._world = world
        self._process = process

    def __getitem__(self, kind: int) -> Callable[..., None]:
        world = self._world
        world.messages += 1
        if world.before_message is not None:
            world.before_message(self._process)
        world.check_alive()
        handler = self._handlers[kind]
        if world.trace is None and self._process.name != "node":
            return handler
        return partial(self._handle, handler)

    def _handle(self, handler: Callable[..., None], sender: Any, *message: Any) -> None:
        world = self._world
        if world.trace is not None:
            world.tell(f"{self._process} ◀ {who(world, sender)}: {text_of(message)}")
        handler(sender, *message)
        if Tap.after is not None:
            Tap.after(self._process, message[0])


def who(world: World, sender: Any) -> str:
    """The name of the process at the other end."""
    address = sender.address
    if not address:
        return "node"
    return name_of(world, address)


def name_of(world: World, address: bytes) -> str:
    """The name of the process with an address."""
    for process in world.processes.values():
        if process.core is not None and process.core.address == address:
            return process.name
    return address.hex()[:8]


def text_of(message: tuple[Any, ...]) -> str:
    """A message as one readable line."""
    kind, *rest = message
    text = ", ".join(_short(each) for each in rest)
    if len(text) > SHOWN:
        text = text[:SHOWN] + "…"
    return f"{NAMES.get(kind, kind)} {text}"


def _short(value: Any) -> str:
    if isinstance(value, bytes):
        return f"<{value[:4].hex()}… {len(value)} B>" if len(value) > 8 else value.hex()
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(_short, value)) + ")"
    return repr(value)
