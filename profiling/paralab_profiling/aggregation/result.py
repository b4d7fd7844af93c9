"""What :func:`paralab_profiling.aggregate` gives: chain against tree, in figures and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from textwrap import wrap
from typing import Any

from paralab_profiling.aggregation.differences import Difference
from paralab_profiling.aggregation.model import Way
from paralab_profiling.details import byte_count
from paralab_profiling.picture import Picture, save_result
from paralab_profiling.recording import Recording
from paralab_profiling.scaling.intervals import Interval
from paralab_profiling.svg import duration, three_digits

NO_GAIN = 1.05


@dataclass(frozen=True, repr=False)
class Aggregation:
    """The same values and function in two shapes.

    Attributes:
        name: of the function.
        count: of values.
        workers: how many there were.
        chain, tree: what was measured of each.
        gain: how many times sooner the tree was.
        local: seconds of the same chain without paralab, of each run.
        shapes: how the tree's result compares to the chain's.
        places: how the remote chain's result compares to the local one's.
        recording: of all runs.
    """

    name: str
    count: int
    workers: int
    chain: Way
    tree: Way
    gain: Interval
    local: tuple[float, ...]
    shapes: Difference
    places: Difference
    recording: Recording

    @property
    def title(self) -> str:
        """The finding."""
        gain = self.gain
        if gain.low > 1 and gain.middle > NO_GAIN:
            found = f"Tree {three_digits(gain.middle)} × sooner than the chain"
        elif gain.high < 1 and gain.middle < 1 / NO_GAIN:
            found = f"Tree {three_digits(1 / gain.middle)} × later than the chain"
        else:
            found = f"Tree no sooner than the chain: {three_digits(gain.middle)} ×"
        wrong = not self.shapes.is_equal and not self.shapes.is_rounding
        return f"{found}, but its result differs" if wrong else found

    @property
    def note(self) -> str:
        """How it was measured."""
        calls, count = len(self.chain.calls), self.workers
        return (
            f"{self.gain.evidence}; {calls:,} calls of {self.chain_call}; depth {self.tree.depth:,}"
            f" against {self.chain.depth:,}; {count} worker{'s' if count > 1 else ''}"
        )

    @property
    def chain_call(self) -> str:
        """The mean time of one call."""
        return duration(self.chain.call)

    def correctness(self) -> list[str]:
        """Whether the results are the same, in sentences."""
        shapes, places = self.shapes, self.places
        if shapes.is_equal:
            lines = ["Chain and tree give the same result."]
        elif shapes.problem:
            lines = [f"The results could not be compared: {shapes.problem}."]
        elif shapes.is_rounding:
            by = f"{shapes.relative or 0.0:.2g} of their size"
            lines = [f"The results differ by {by}: the order of floating-point operations."]
        elif shapes.relative is not None:
            by = f"{three_digits(shapes.relative)} × their size"
            lines = [f"The results differ by {by}: {self.name} is not associative."]
        else:
            lines = [f"The results differ: {self.name} is not associative."]
        if not places.is_equal and not places.problem:
            lines.append("The remote chain gives another result than the local loop.")
        return lines

    def predictions(self) -> list[str]:
        """The formulas under the measurement, in sentences."""
        tree, enough = self.tree, self.tree.enough_workers()
        chain = f"chain (n−1)·t = {duration(self.chain.predicted)}"
        levels = f"sum over levels of ⌈calls/{self.workers}⌉·t = {duration(tree.predicted)}"
        plural = "s" if enough > 1 else ""
        replayed = f"tree {duration(tree.replayed[enough])} with {enough} worker{plural} or more"
        return [
            f"Predicted without overhead: {chain}; tree, {levels} (n = {self.count:,}).",
            f"Replayed with overhead: {replayed}. Local loop: {duration(median(self.local))}.",
        ]

    def moved(self) -> str:
        """The bytes, in a sentence."""
        chain, tree = self.chain, self.tree
        return (
            f"Read: chain {byte_count(chain.bytes_read)}, tree {byte_count(tree.bytes_read)};"
            f" written: {byte_count(chain.bytes_written)}, {byte_count(tree.bytes_written)}."
        )

    @cached_property
    def picture(self) -> Picture:
        """Both shapes on one time axis."""
        from paralab_profiling.aggregation.drawing import draw  # it draws what is defined here

        return draw(self)

    def __repr__(self) -> str:
        head = f"{'':<6} {'measured':>9} {'predicted':>9} {'replayed':>9} {'path':>9} {'depth':>6}"
        lines = [self.title, *wrap(self.note, 80), "", head + f" {'read':>8} {'written':>8}"]
        for way in (self.chain, self.tree):
            times = (way.middle, way.predicted, way.replayed[self.workers], way.path)
            figures = " ".join(f"{duration(seconds):>9}" for seconds in times)
            lines.append(
                f"{way.name:<6} {figures} {way.depth:>6,} {byte_count(way.bytes_read):>8}"
                f" {byte_count(way.bytes_written):>8}"
            )
        lines += [f"{'local':<6} {duration(median(self.local)):>9}", ""]
        words = [*self.predictions()[1:], *self.correctness()]
        return "\n".join([*lines, *(line for each in words for line in wrap(each, 80))])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self.picture.to_html()}

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data; times in seconds."""
        return {
            "function": self.name,
            "title": self.title,
            "values": self.count,
            "workers": self.workers,
            "tree_sooner": self.gain.middle,
            "interval": [self.gain.low, self.gain.high],
            "confidence": self.gain.confidence,
            "pairs": self.gain.count,
            "local_seconds": list(self.local),
            "same_result": self.shapes.is_equal,
            "relative_difference": self.shapes.relative,
            "differs_by_rounding": self.shapes.is_rounding,
            **{way.name: _as_dict(way) for way in (self.chain, self.tree)},
        }

    def save(self, path: str | Path) -> Path:
        """Writes figures (``.json``), a page (``.html``) or the picture (``.svg``).

        Raises:
            ValueError: another ending.
            OSError: the file cannot be written.
        """
        return save_result(path, self.to_dict(), [self.picture])


def _as_dict(way: Way) -> dict[str, Any]:
    return {
        "depth": way.depth,
        "calls": len(way.calls),
        "seconds": list(way.seconds),
        "median_seconds": way.middle,
        "call_seconds": way.call,
        "path_seconds": way.path,
        "predicted_seconds": way.predicted,
        "replayed_seconds": {str(at): seconds for at, seconds in way.replayed.items()},
        "bytes_read": way.bytes_read,
        "bytes_written": way.bytes_written,
    }
