"""How the death of a process is told to those whose calls it took along.

The node sees how a process ended and says so in one text, which goes to everybody::

    The worker process 71 was killed by signal 9 (SIGKILL). The last lines of its error output:
    ...

Each caller knows what the node does not: which attempt it was, of how many, and which option
would have allowed one more.  Sentences are put in front of the last lines, which may be many.
"""

from __future__ import annotations

from collections.abc import Sequence

_WORDS = " The last lines of its error output:\n"


def ended(process: str, how: str, last_lines: Sequence[str] = ()) -> str:
    """What the node says.

    Args:
        process: ``"The worker process 71"``.
        how: ``"exited with code 1"``.
        last_lines: of its error output; may be empty.
    """
    return told(f"{process} {how}.{_WORDS if last_lines else ''}" + "\n".join(last_lines))


def told(how: str, *facts: str) -> str:
    """``how``, with further sentences in front of the last lines of error output, if it has any."""
    what, mark, lines = how.partition(_WORDS)
    return " ".join(filter(None, (what.rstrip(), *facts))) + mark + lines.rstrip("\n")


def without_words(how: str) -> tuple[str, str]:
    """``how`` as a part of another sentence, and the last lines with what introduces them."""
    what, mark, lines = how.partition(_WORDS)
    return what.strip().removesuffix("."), mark.lstrip() + lines


def last_attempt(attempt: int, limit: int, option: str) -> str:
    """Which attempt it was, of how many, and what would have allowed another one.

    Args:
        attempt: 0 for the first.
        limit: of further ones.
        option: what sets the limit.
    """
    return f"This was attempt {attempt + 1} of {limit + 1}; {option}={limit} allows no more."


def not_again(attempt: int, limit: int, option: str) -> str:
    """The same of a call that raised, of which only some errors may be tried again."""
    number = f"attempt {attempt + 1}" + (f" of {limit + 1}" if limit >= 0 else "")
    return f"This was {number} ({option}={limit}, and what retry_exceptions asks for)."


def under_way(name: str, attempt: int, limit: int) -> str:
    """What the caller of an actor adds for a call that was on its way when the process ended."""
    number = f"attempt {attempt + 1}" + (f" of {limit + 1}" if limit >= 0 else "")
    return (
        f"The call of {name} was under way and may have run; it was {number} "
        f"(max_task_retries={limit})."
    )
