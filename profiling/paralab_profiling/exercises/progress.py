"""What the learner has tried, in one small file in the folder for a user's data.

It is written beside and then renamed, so that a process that is killed leaves the old or the new
one, and read and written under a lock, so that a notebook and a terminal may check at the same
time.  A file that cannot be read is put aside, never overwritten.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

VERSION = 1


@dataclass(frozen=True, slots=True)
class Tried:
    """What is remembered of one exercise.

    Attributes:
        tries: how often it was checked with a verdict, until it passed first.
        passed: day on which it passed first, as ISO 8601; "" if it has not.
        kind: of the mistake in the last try.
        step: the hint that was given last for this kind; 0 for none.
        file: where ``start`` has put the notebook.
        measured: in the last try, as text; "" once it has passed.
    """

    tries: int = 0
    passed: str = ""
    kind: str = ""
    step: int = 0
    file: str = ""
    measured: str = ""


def default_path() -> Path:
    """``paralab/exercises.json`` below ``$XDG_DATA_HOME``, by default ``~/.local/share``."""
    folder = os.environ.get("XDG_DATA_HOME", "")
    base = Path(folder) if os.path.isabs(folder) else Path.home() / ".local" / "share"
    return base / "paralab" / "exercises.json"


class Progress:
    """The file.

    Args:
        path: of it; by default :func:`default_path`.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_path()

    def all(self) -> dict[int, Tried]:
        """What is remembered, by the exercise's number; empty if there is no file yet."""
        try:
            return _read(self.path.read_bytes())
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def of(self, number: int) -> Tried:
        """What is remembered of one exercise."""
        return self.all().get(number, Tried())

    def put(self, number: int, **changes: Any) -> Tried:
        """Remembers ``changes`` of :class:`Tried` for one exercise, and gives the whole.

        Raises:
            OSError: the file cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._put_aside_if_broken()
            known = self.all()
            known[number] = replace(known.get(number, Tried()), **changes)
            self._write(known)
        return known[number]

    def passed(self, number: int) -> Tried:
        """Remembers that it has passed today, unless it had before."""
        before = self.of(number)
        day = before.passed or datetime.now(UTC).astimezone().date().isoformat()
        tries = before.tries if before.passed else before.tries + 1
        return self.put(number, passed=day, tries=tries, kind="", step=0, measured="")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _put_aside_if_broken(self) -> None:
        try:
            _read(self.path.read_bytes())
        except FileNotFoundError:
            pass
        except (ValueError, TypeError, KeyError, AttributeError):
            os.replace(self.path, self.path.with_suffix(".broken.json"))

    def _write(self, known: dict[int, Tried]) -> None:
        entries = {str(number): asdict(each) for number, each in sorted(known.items())}
        text = json.dumps({"version": VERSION, "exercises": entries}, indent=1)
        beside = self.path.with_suffix(f".{os.getpid()}.new")
        try:
            with open(beside, "w", encoding="utf-8") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self.path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise


def _read(data: bytes) -> dict[int, Tried]:
    found = json.loads(data)
    if found["version"] != VERSION:
        raise ValueError(f"version {found['version']}")
    known = {int(number): Tried(**each) for number, each in found["exercises"].items()}
    for each in known.values():
        if type(each.tries) is not int or type(each.step) is not int:
            raise TypeError("counts are no numbers")
    return known
