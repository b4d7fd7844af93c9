"""Who has to end when memory runs short, and whether its task is tried again.

The rules, after those that Ray documents (its policy by groups):

1. Only who holds a good part of what the largest holds is worth ending: the death of a small
   one would free nothing.  A younger sibling of such a task is worth it as soon as its end alone
   is enough: it has only just begun to grow, and the older one would lose its work to it.
2. What costs nobody anything goes first: workers without work.  Then tasks that may be tried
   again, then other tasks; actors last, those that may be restarted before the others.
3. Tasks that may be tried again are grouped by the caller that owns them.  One of the largest
   group goes, so that every caller keeps one running; of groups of the same size, that whose
   first task began last.  Within a group the youngest goes: it loses the least.
4. A task is tried again only if its caller has others that hold much, whose end will make room.
   One that is too large all by itself would only be killed again: it fails, with the figures.

A task that is tried again waits first, twice as long each time.  Rejected: the largest first (it
is often the oldest, with the most work to lose), and the newest of all whoever owns it (a caller
with many tasks would starve one with few).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from paralab.ids import Address

WORTH = 4
"""One part in so many of what the largest holds is worth a death."""
LONGEST_DELAY_NS = 60_000_000_000
TOP_USERS = 10
KILLED = "was killed due to the node running low on memory."


class Role(IntEnum):
    """What a worker does, in the order in which they end."""

    IDLE = 0
    RETRIABLE_TASK = 1
    TASK = 2
    RESTARTABLE_ACTOR = 3
    ACTOR = 4


class Use(NamedTuple):
    """What one worker holds."""

    worker: Address
    pid: int
    size: int
    """Bytes of its own; shared ones are not its."""
    role: Role
    name: str
    owner: Address = b""
    """Of a task: its caller."""
    began: int = 0
    """When its work began, in ns."""


class Verdict(NamedTuple):
    """Who ends."""

    use: Use
    again: bool
    """Whether its task may be tried again."""
    why: str


class Reading(NamedTuple):
    """How much memory is used, of what."""

    used: int
    limit: int
    whose: str
    """The limit's owner, as a word: "the machine's"."""

    def above(self, threshold: float) -> float:
        """How many bytes more than this part of the limit are used; negative if less are."""
        return self.used - threshold * self.limit


def worth_ending(uses: Sequence[Use]) -> list[Use]:
    """Those whose end would free a good part of what can be freed at all."""
    least = max((use.size for use in uses), default=0) / WORTH
    return [use for use in uses if use.size and use.size >= least]


def victim(uses: Sequence[Use], too_much: float) -> Verdict | None:
    """Who ends next, where ``too_much`` bytes are above the threshold; None if nobody can."""
    worth = worth_ending(uses)
    if not worth:
        return None
    role = min(use.role for use in worth)
    found = [use for use in worth if use.role == role]
    if role is not Role.RETRIABLE_TASK:
        why = {
            Role.IDLE: "it had no work",
            Role.TASK: "no task that may be tried again held much, and it began last",
        }.get(role, "no task held much, and of the actors it began last")
        return Verdict(max(found, key=lambda use: use.began), False, why)
    groups: dict[Address, list[Use]] = {}
    for use in found:
        groups.setdefault(use.owner, []).append(use)
    group = max(groups.values(), key=lambda uses: (len(uses), min(use.began for use in uses)))
    owner = group[0].owner
    group += [use for use in uses if (use.owner, use.role) == (owner, role) and use.size > too_much]
    youngest = max(group, key=lambda use: use.began)
    count = sum(use.owner == owner and use is not youngest for use in worth)
    if not count:
        return Verdict(youngest, False, "its caller has no other task that holds much")
    why = f"its caller has {count} more that hold{'s' * (count == 1)} much, and it began last"
    return Verdict(youngest, True, why)


def retry_delay_ns(attempt: int, base_ms: float) -> int:
    """How long a task waits that has been killed so often before, at most a minute."""
    return min(LONGEST_DELAY_NS, int(base_ms * 1_000_000) << min(attempt, 40))


def account(
    reading: Reading, threshold: float, verdict: Verdict, uses: Sequence[Use], node: str
) -> str:
    """What is told of a death behind ``KILLED``: how much was used of what, and by whom."""
    use = verdict.use
    share = reading.used / max(1, reading.limit)
    head = (
        f"Memory on the node (IP: 127.0.0.1, ID: {node}) was {_gb(reading.used)} used / "
        f"{_gb(reading.limit)} limit ({share:.6f}), above the threshold of {threshold:g}; "
        f"the limit is {reading.whose}."
    )
    lines = [
        head,
        f"Killed was process {use.pid}, which held {_mb(use.size)} for {use.name}: {verdict.why}.",
        f"The top memory users (of at most {TOP_USERS}):",
        "PID\tMB\tWHAT",
    ]
    largest = sorted(uses, key=lambda use: use.size, reverse=True)[:TOP_USERS]
    lines += [f"{use.pid or '-'}\t{_mb(use.size)[:-3]}\t{use.name}" for use in largest]
    return "\n".join(lines)


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f}GB"


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
