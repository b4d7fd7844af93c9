"""What a loop does with what its poll has found.

A number that one action closes may be given to something new by the next one, while what the poll
has found of the old is still to come.  Taken for the new one's, it did harm: the node waited for
the end of a worker that lived.  So an action is only taken if it was there when the poll came back;
what is really so of something new, the next poll will find.
"""

from __future__ import annotations

from collections.abc import Callable


def dispatch(watched: dict[int, Callable[[int], None]], events: list[tuple[int, int]]) -> None:
    """Calls the actions of all descriptors that were found ready, unless they are others by now."""
    for fd, event, action in [(fd, event, watched.get(fd)) for fd, event in events]:
        if action is not None and watched.get(fd) is action:
            action(event)
