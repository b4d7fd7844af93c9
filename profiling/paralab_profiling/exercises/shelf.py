"""Where the exercises are: a folder each, found by its number.

In a checkout they stand in ``exercises/`` beside ``profiling/``; a wheel holds a copy inside this
package.  Nothing is read before it is needed: the list takes only each notebook's first line.
"""

from __future__ import annotations

import codecs
import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from paralab_profiling.exercises.ladders import Ladder
from paralab_profiling.lessons.checking import Verdict

_FOLDER = re.compile(r"(\d\d)_\w+")


class NoSuchExerciseError(LookupError):
    """There is no exercise with this number."""


@dataclass(frozen=True, slots=True)
class Checker:
    """What an exercise's ``checker.py`` gives.

    Attributes:
        answer: name of the function that the learner writes.
        check: measures it.
        ladders: hints by the kind of mistake, see ``Verdict.kind``.
        cpus: of the session that it is checked in; None if the check starts its own.
        in_session: whether it can be checked in a process that does other things, too.
    """

    answer: str
    check: Callable[[Callable[..., object]], Verdict]
    ladders: Mapping[str, Ladder]
    cpus: int | None
    in_session: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one exercise."""

    number: int
    folder: Path

    @property
    def name(self) -> str:
        """Such as ``09_closure_or_put``."""
        return self.folder.name

    @property
    def notebook(self) -> Path:
        """What the learner gets a copy of."""
        return self.folder / "task.ipynb"

    def title(self) -> str:
        """The heading of its notebook, without the number."""
        first = json.loads(self.notebook.read_text(encoding="utf-8"))["cells"][0]["source"]
        line = "".join(first).splitlines()[0]
        return line.removeprefix("#").strip().partition(": ")[2] or line

    def solution(self) -> str:
        """The source of a solution: a definition of the function that is asked for."""
        return codecs.decode(self._packed().read_text(encoding="utf-8"), "rot13")

    def _packed(self) -> Path:
        return self.folder / "solution.txt"

    def checker(self) -> Checker:
        """Loads ``checker.py``.

        Raises:
            ImportError: it needs a package that is not installed.
        """
        module = self._module()
        return Checker(
            *(module.ANSWER, module.check, module.LADDERS, getattr(module, "CPUS", 2)),
            in_session=getattr(module, "IN_SESSION", True),
        )

    def _module(self) -> ModuleType:
        path = self.folder / "checker.py"
        spec = importlib.util.spec_from_file_location(f"paralab_exercise_{self.number}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def home() -> Path:
    """The folder with all exercises."""
    package = Path(__file__).resolve().parent
    beside = package.parents[2] / "exercises"
    return (
        beside if beside.is_dir() and package.parents[1].name == "profiling" else package / "shelf"
    )


def places() -> list[Place]:
    """All exercises by their number."""
    return sorted(_places(home()), key=lambda place: place.number)


def _places(folder: Path) -> Iterator[Place]:
    for each in folder.iterdir() if folder.is_dir() else ():
        found = _FOLDER.fullmatch(each.name)
        if found and (each / "task.ipynb").is_file():
            yield Place(int(found[1]), each)


def place(number: int) -> Place:
    """The exercise with this number.

    Raises:
        NoSuchExerciseError: there is none.
    """
    found = places()
    for each in found:
        if each.number == number:
            return each
    known = ", ".join(str(each.number) for each in found) or "none: the installation lacks them"
    raise NoSuchExerciseError(f"There is no exercise {number}. There are {known}.")
