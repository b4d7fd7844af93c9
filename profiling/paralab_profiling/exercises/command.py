"""``paralab exercise list | start N | check N | progress``.

What it ends with: 0 passed, 1 not yet, 2 it was used in a wrong way, 3 it cannot be judged.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from paralab.shown_text import shown_path
from paralab_profiling.exercises import shelf
from paralab_profiling.exercises.answers import UnreadableAnswerError
from paralab_profiling.exercises.exercise import Exercise
from paralab_profiling.exercises.judging import SECONDS
from paralab_profiling.exercises.progress import Progress, Tried
from paralab_profiling.lessons.checking import NOT_YET, PASSED

EXIT_CODES = {PASSED: 0, NOT_YET: 1}
WRONG_USE, CANNOT_JUDGE = 2, 3


@click.group()
def exercise() -> None:
    """Programs with a planted fault: find it, measure, repair it."""


def _exercise(number: int) -> Exercise:
    try:
        return Exercise(number)
    except shelf.NoSuchExerciseError as error:
        raise click.BadParameter(str(error), param_hint="N") from None


@exercise.command("list")
def list_all() -> None:
    """Show all exercises."""
    _table({place.number: place.title() for place in shelf.places()}, Progress().all())


@exercise.command()
@click.argument("number", metavar="N", type=int)
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
def start(number: int, folder: Path) -> None:
    """Copy the notebook of exercise N into FOLDER; never over another file."""
    try:
        path = _exercise(number).start(folder)
    except FileExistsError as error:
        raise click.UsageError(
            f"{shown_path(str(error.filename))} is there already and stays as it is. "
            "Name another folder, or go on with that file."
        ) from None
    except OSError as error:
        raise click.UsageError(f"The notebook cannot be copied: {error}") from None
    click.echo(f"Open {shown_path(str(path))}, for example with: jupyter lab {path}")
    click.echo(f"Then check your answer with: paralab exercise check {number}")


@exercise.command()
@click.argument("number", metavar="N", type=int)
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--hint", is_flag=True, help="Give the next hint for the last mistake; no check.")
@click.option("--guess", metavar="TEXT", default="", help="What you expect to be measured.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    default=SECONDS,
    show_default=True,
    help="Time limit for each cell and for the call.",
)
def check(number: int, file: Path | None, hint: bool, guess: str, seconds: float) -> None:
    """Measure the answer to exercise N in FILE, by default the notebook that start has copied."""
    chosen = _exercise(number)
    if hint:
        click.echo(chosen.hint().text)
        return
    path = file or _started(number)
    try:
        outcome = chosen.check(path, guess=guess, seconds=seconds)
    except (UnreadableAnswerError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    click.echo(outcome.text)
    if outcome.verdict.picture is not None:
        click.echo(f"\n{outcome.verdict.picture.title}")
    sys.exit(EXIT_CODES.get(outcome.verdict.state, CANNOT_JUDGE))


def _started(number: int) -> Path:
    name = f"{shelf.place(number).name}.ipynb"
    known = Progress().of(number).file
    for path in (Path(name), *([Path(known)] if known else [])):
        if path.is_file():
            return path
    raise click.UsageError(
        f"There is no {name} here: name the file, or begin with 'paralab exercise start {number}'."
    )


@exercise.command()
def progress() -> None:
    """Show what has passed, and what was tried."""
    known = Progress().all()
    titles = {place.number: place.title() for place in shelf.places()}
    passed = sum(bool(known.get(number, Tried()).passed) for number in titles)
    click.echo(f"{passed} of {len(titles)} exercises passed.")
    _table({number: titles[number] for number in titles if number in known}, known)


def _table(titles: dict[int, str], known: dict[int, Tried]) -> None:
    for number, title in titles.items():
        click.echo(f"{number:>3}  {title:<58}  {_state(known.get(number, Tried()))}".rstrip())


def _state(tried: Tried) -> str:
    times = "1 try" if tried.tries == 1 else f"{tried.tries} tries"
    if tried.passed:
        return f"passed {tried.passed}, {times}"
    if tried.tries:
        return f"not yet, {times}"
    return "started" if tried.file else ""
