"""How a process ended, and on whose account: Ray's four types of exits.

The node sees the end of a process: its exit code, or the signal.  Why it came to that is known of
actors only, by what the actor itself gave as its reason before it left, or else by what the node
tells of it.  So a task that has ended its process with exit code 0 looks like one that was idle.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from paralab.library_name import said
from paralab.messages import GROUP_REMOVED
from paralab.remote_errors import unpack_failure

_BY_WORDS = {
    "raised in its creation task": "USER_ERROR",
    "called exit_actor() or sys.exit(0)": "INTENDED_USER_EXIT",
    "last handle is gone": "INTENDED_USER_EXIT",
    "was killed by `": "INTENDED_SYSTEM_EXIT",
    "placement group was removed": "INTENDED_SYSTEM_EXIT",
}
"""What is said of an actor's end, and what kind of end that is."""


def why_actor_ended(actor: Mapping[str, Any]) -> str:
    """What the actor gave as its reason, else what the node says; "" of one that lives."""
    if actor["state"] != "DEAD":
        return ""
    if not actor.get("cause"):
        return said(actor["why"])
    try:
        return str(unpack_failure(actor["cause"]))
    except Exception:  # the class of the error may be one that cannot be loaded here
        return said(actor["why"])


def ends_of_actors(actors: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Why actors ended, by the pid that each had last."""
    return {
        actor["last_pid"]: why_actor_ended(actor)
        for actor in actors
        if actor["state"] == "DEAD" and actor.get("last_pid")
    }


def exit_of(how: str, why: str) -> tuple[str, str]:
    """The type of a process's exit, and its story.

    Args:
        how: what the node saw.
        why: why its actor ended; "" if it was none.
    """
    for words, kind in _BY_WORDS.items():
        if words in why:
            return kind, f"{how}\n{why}" if why not in how else how
    if how.startswith(GROUP_REMOVED) or "exited with code 0" in how:
        return "INTENDED_SYSTEM_EXIT", how
    return "SYSTEM_ERROR", how
