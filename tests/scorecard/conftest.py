"""The fixture by which a row of the scorecard reports what it has measured.

A row is a test in this folder, called ``test_e07_...`` after experiment E7 or ``test_s03_...``
after attack S3.  It asserts what must hold; its figures are kept beside that.  With
``PARALAB_SCORECARD_FILE`` each is appended to that file as a line of JSON as soon as the test has
ended, so that several test processes can share it; ``scorecard_table.py`` makes the table.  Tests
without figures leave a line too: a row has passed if all its tests have, their setup and their end,
at which the leak check looks, included.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from scorecard_table import Figure, row_of

FULL = "PARALAB_SCORECARD"
FILE = "PARALAB_SCORECARD_FILE"


class Scorecard:
    """What one test tells of itself."""

    def __init__(self) -> None:
        self.full = os.environ.get(FULL) == "full"
        """Whether to run in full size; otherwise in a size of seconds."""
        self.figures: list[Figure] = []

    def figure(
        self,
        row: str,
        what: str,
        value: float | str,
        unit: str = "",
        peer: str = "",
        *,
        short: str = "",
    ) -> None:
        """Keeps one measured figure.

        Args:
            row: ``"E7"``, ``"S3"``: as in the name of the test's file.
            what: what was done and measured, in a few words, with its size.
            value: the figure.
            unit: of ``value``: ``"s"``, ``"tasks/s"``, ``"x"``.
            peer: what another runtime does there, with its name; "" if nothing is known.
            short: what README.md says of it, with ``{}`` where the figure stands; of several with
                the same ``short``, the largest.  Each row needs one; "" says nothing there.
        """
        self.figures.append(Figure(row, what, value, unit, peer, short))


_CARD = pytest.StashKey[Scorecard]()
_OUTCOME = pytest.StashKey[str]()


@pytest.fixture
def scorecard(request: pytest.FixtureRequest) -> Scorecard:
    """The scorecard of one test."""
    return request.node.stash.setdefault(_CARD, Scorecard())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes how the test's parts ended; after the last one its lines are written."""
    report = yield
    if report.outcome != "passed" and item.stash.get(_OUTCOME, "") != "failed":
        item.stash[_OUTCOME] = report.outcome
    if report.when == "teardown":
        card = item.stash.get(_CARD, Scorecard())
        row = row_of(item.path.name)
        assert all(figure.row == row for figure in card.figures), f"{item.path.name} is row {row}"
        if path := os.environ.get(FILE):
            facts = {"outcome": item.stash.get(_OUTCOME, "passed"), "full": card.full}
            figures = card.figures or [Figure(row, item.name, "")]
            lines = [json.dumps({**figure._asdict(), **facts}) + "\n" for figure in figures]
            with Path(path).open("a", encoding="utf-8") as file:
                file.write("".join(lines))
    return report
