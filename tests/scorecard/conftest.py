"""The fixture by which a row of the scorecard reports what it has measured.

A row is a test in this folder, called ``test_e07_...`` after experiment E7 or ``test_s03_...``
after attack S3.  It asserts what must hold; its figures are kept beside that.  With
``PARALAB_SCORECARD_FILE`` each is appended to that file as a line of JSON as soon as the test has
ended, so that several test processes can share it; ``scorecard_table.py`` makes the table.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from scorecard_table import Figure, row_of

FULL = "PARALAB_SCORECARD"
FILE = "PARALAB_SCORECARD_FILE"
_OUTCOME = pytest.StashKey[str]()


class Scorecard:
    """What one test tells of itself."""

    def __init__(self) -> None:
        self.full = os.environ.get(FULL) == "full"
        """Whether to run in full size; otherwise in a size of seconds."""
        self.figures: list[Figure] = []

    def figure(
        self, row: str, what: str, value: float | str, unit: str = "", peer: str = ""
    ) -> None:
        """Keeps one measured figure.

        Args:
            row: ``"E7"``, ``"S3"``: as in the name of the test's file.
            what: what was done and measured, in a few words, with its size.
            value: the figure.
            unit: of ``value``: ``"s"``, ``"tasks/s"``, ``"x"``.
            peer: what another runtime does there, with its name; "" if nothing is known.
        """
        self.figures.append(Figure(row, what, value, unit, peer))


@pytest.fixture
def scorecard(request: pytest.FixtureRequest) -> Iterator[Scorecard]:
    """The scorecard of one test."""
    card = Scorecard()
    yield card
    row = row_of(request.path.name)
    assert all(figure.row == row for figure in card.figures), f"{request.path.name} is row {row}"
    if path := os.environ.get(FILE):
        outcome = request.node.stash.get(_OUTCOME, "failed")
        figures = card.figures or [Figure(row, request.node.name, "")]
        lines = [
            json.dumps({**figure._asdict(), "outcome": outcome, "full": card.full}) + "\n"
            for figure in figures
        ]
        with Path(path).open("a", encoding="utf-8") as file:
            file.write("".join(lines))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Notes how the test itself ended, for the fixture's end."""
    report = yield
    if report.when == "call":  # type: ignore[attr-defined]
        item.stash[_OUTCOME] = report.outcome  # type: ignore[attr-defined]
    return report
