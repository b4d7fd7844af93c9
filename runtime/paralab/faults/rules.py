"""The fault switch: which messages are lost, doubled, late or cut off, and who is killed at them.

It is off by default, and is there for tests and for teaching: what does a runtime do when its
messages do not arrive?  A switch is a text of rules, separated by semicolons or new lines::

    paralab.init(_system_config={"faults": "lose RESULT; delay LEASED seconds=0.5"})
    PARALAB_FAULTS="kill CALL to=worker nth=3" python program.py

A rule is an action, the name of a message (those in ``messages.py``; ``ANY`` for all of them) and
what else is to be so:

============= ==============================================================================
``lose``      it does not arrive; it will be sent again
``double``    it arrives twice
``delay``     it arrives ``seconds`` later (0.3), what follows it does not
``cut``       the connection breaks in the middle of it
``kill``      SIGKILL for the process that is about to send it, or (``at=receive``) to handle it
``from=``     only if ``driver``, ``worker`` or ``node`` sends it
``to=``       only if it is sent to one of these
``nth=``      at the nth such message of a process (1), or at ``every`` one
``chance=``   each time with this probability, instead of ``nth``; ``seed`` (0) makes it repeatable
============= ==============================================================================

A rule with a number acts once in a session, in whichever process gets there first.  What is sent
again is let through.  With the switch on, connections send again what has not been acknowledged
for a second, and one that breaks is replaced (``reconnecting.py``), so a program should
come to the same end whatever is lost, doubled, late or cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ACTIONS = ("lose", "double", "delay", "cut", "kill")
ROLES = ("driver", "worker", "node")
EVERY = 0

_NO_MESSAGES = {
    "FUNCTION", "METHOD", "ACTOR", "INLINE", "STORED", "FAILED", "SEVERAL", "NODE_DIED",
    "GROUP_REMOVED",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the switch; the fields are the words of the grammar."""

    action: str
    message: int | None
    """Its kind, None for any."""
    sender: str = ""
    receiver: str = ""
    nth: int = 1
    chance: float = 0.0
    seed: int = 0
    seconds: float = 0.3
    at: str = "send"

    def fits(self, message: int, sender: str, receiver: str, at: str) -> bool:
        """Whether it speaks of such a message."""
        return (
            self.message in (None, message)
            and self.sender in ("", sender)
            and self.receiver in ("", receiver)
            and self.at == at
        )


def message_kinds() -> dict[str, int]:
    """Numbers of all messages by their names."""
    from paralab import messages

    return {
        name: number
        for name, number in vars(messages).items()
        if name.isupper() and type(number) is int and name not in _NO_MESSAGES
    }


def parse(text: str, where: str) -> tuple[Rule, ...]:
    """The rules of a switch.

    Args:
        text: in the grammar above; "" is a switch that is off.
        where: what the error calls it.

    Raises:
        ValueError: a rule is not one; the message names the word that is wrong.
    """
    lines = (rule.strip() for rule in text.replace("\n", ";").split(";"))
    return tuple(_rule(rule, f"{where}: the rule {rule!r}") for rule in lines if rule)


def _rule(text: str, where: str) -> Rule:
    action, *rest = text.split()
    if action not in ACTIONS:
        raise ValueError(f"{where} begins with {action!r}; expected {_one_of(ACTIONS)}.")
    kinds = message_kinds()
    name = rest[0] if rest else ""
    if name != "ANY" and name not in kinds:
        said = repr(name) if name else "nothing"
        raise ValueError(f"{where} names {said}; expected ANY or {_one_of(sorted(kinds))}.")
    given: dict[str, Any] = {}
    for word in rest[1:]:
        key, equals, value = word.partition("=")
        if not equals or key not in _READERS or (key == "seconds" and action != "delay"):
            keys = [each for each in _READERS if each != "seconds" or action == "delay"]
            raise ValueError(f"{where} has {word!r}; expected {_one_of(keys)}, each with '='.")
        field, read, expected = _READERS[key]
        try:
            given[field] = read(value)
        except ValueError:
            raise ValueError(f"{where} has {word!r}; expected {key}={expected}.") from None
    rule = Rule(action, kinds.get(name), **given)
    if rule.at == "receive" and action != "kill":
        raise ValueError(f"{where} has 'at=receive', which is for kill: the others act on sending.")
    if rule.at == "receive" and name == "WELCOME":
        raise ValueError(f"{where} cannot act: WELCOME is what brings the rules to its receiver.")
    return rule


def _one_of(words: Any) -> str:
    return "one of " + ", ".join(words)


def _word(*allowed: str) -> Any:
    def read(value: str) -> str:
        if value not in allowed:
            raise ValueError
        return value

    return read


def _nth(value: str) -> int:
    return EVERY if value == "every" else _above(int(value), 0)


def _chance(value: str) -> float:
    chance: float = _above(float(value), 0.0)
    if chance > 1.0:
        raise ValueError
    return chance


def _above(value: Any, limit: float) -> Any:
    if not limit < value < float("inf"):
        raise ValueError
    return value


_READERS: dict[str, tuple[str, Any, str]] = {
    "from": ("sender", _word(*ROLES), _one_of(ROLES)),
    "to": ("receiver", _word(*ROLES), _one_of(ROLES)),
    "nth": ("nth", _nth, "a whole number > 0 or every"),
    "chance": ("chance", _chance, "a number > 0 and <= 1"),
    "seed": ("seed", int, "a whole number"),
    "seconds": ("seconds", lambda value: _above(float(value), 0.0), "a number > 0"),
    "at": ("at", _word("send", "receive"), "send or receive"),
}
