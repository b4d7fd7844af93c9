"""Figures of the program's own: ``Counter``, ``Gauge``, ``Histogram``.

Each process keeps its figures to itself until somebody asks: :func:`collect` asks all processes
and adds up what they say, :func:`prometheus_text` writes that in the format that Prometheus
reads.  There is no server to scrape; serve that text, or write it to a file, if you want one.
The figures of a process that has ended are gone.
"""

from __future__ import annotations

import bisect
import threading
import time
from typing import Any

from paralab.engine import installed, tells
from paralab.shown_text import shown_text
from paralab.util.annotations import DeveloperAPI

Tags = tuple[tuple[str, str], ...]

_lock = threading.Lock()
_series: dict[tuple[str, str], dict[str, Any]] = {}
"""Kind and name → description, boundaries, and the values by tags.  Metrics of one name share."""


def _tell(_limit: int) -> list[Any]:
    with _lock:
        return [
            (kind, name, series["description"], series["boundaries"], list(series["by"].items()))
            for (kind, name), series in _series.items()
        ]


@DeveloperAPI
class Metric:
    """What all metrics have in common; make one of its kinds.

    Args:
        name: what it is called; metrics of the same name and kind are one.
        description: in words.
        tag_keys: the tags that each value has to have.

    Raises:
        ValueError: the name is empty.
        TypeError: ``tag_keys`` is no tuple of str.
    """

    _kind = "untyped"

    def __init__(
        self, name: str, description: str = "", tag_keys: tuple[str, ...] | None = None
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"The metric's name must be a str, got {type(name)}.")
        if not name:
            raise ValueError("Empty name is not allowed. Please provide a metric name.")
        keys = () if tag_keys is None else tag_keys
        if not isinstance(keys, tuple):
            raise TypeError(f"tag_keys should be a tuple type, got: {type(keys)}")
        for key in keys:
            if not isinstance(key, str):
                raise TypeError(f"Tag keys must be str, got {type(key)}.")
        self._name = name
        self._description = description
        self._tag_keys = keys
        self._default_tags: dict[str, str] = {}

    def set_default_tags(self, default_tags: dict[str, str]) -> Metric:
        """Sets the tags of values that are recorded without them; returns the metric.

        Raises:
            ValueError: a tag is not among ``tag_keys``.
            TypeError: its value is no str.
        """
        for key, value in default_tags.items():
            if key not in self._tag_keys:
                raise ValueError(f"Unrecognized tag key {key}.")
            if not isinstance(value, str):
                raise TypeError(f"Tag values must be str, got {type(value)}.")
        self._default_tags = default_tags
        return self

    @property
    def info(self) -> dict[str, Any]:
        """Name, description, tag keys and default tags."""
        return {
            "name": self._name,
            "description": self._description,
            "tag_keys": self._tag_keys,
            "default_tags": self._default_tags,
        }

    def _values(self, boundaries: tuple[float, ...] = ()) -> dict[Tags, Any]:
        """This metric's values in this process by tags.  Under the lock."""
        tells.setdefault("metrics", _tell)
        series = _series.setdefault(
            (self._kind, self._name),
            {"description": self._description, "boundaries": boundaries, "by": {}},
        )
        by: dict[Tags, Any] = series["by"]
        return by

    def _tags(self, tags: dict[str, str] | None) -> Tags:
        if tags is not None:
            for value in tags.values():
                if not isinstance(value, str):
                    raise TypeError(f"Tag values must be str, got {type(value)}.")
        final = {**self._default_tags, **(tags or {})}
        missing = [key for key in self._tag_keys if key not in final]
        if missing:
            raise ValueError(f"Missing value for tag key(s): {','.join(missing)}.")
        return tuple(sorted(final.items()))


def _check_number(value: Any) -> None:
    if not isinstance(value, (int, float)):
        raise TypeError(f"value must be int or float, got {type(value)}.")


@DeveloperAPI
class Counter(Metric):
    """A figure that only grows."""

    _kind = "counter"

    def inc(self, value: float = 1.0, tags: dict[str, str] | None = None) -> None:
        """Adds ``value``, more than 0.

        Raises:
            TypeError, ValueError: the value or a tag is wrong, or a tag is lacking.
        """
        _check_number(value)
        if value <= 0:
            raise ValueError(f"value must be >0, got {value}")
        key = self._tags(tags)
        with _lock:
            by = self._values()
            by[key] = by.get(key, 0.0) + value


@DeveloperAPI
class Gauge(Metric):
    """A figure that goes up and down; the newest value counts."""

    _kind = "gauge"

    def set(self, value: float | None, tags: dict[str, str] | None = None) -> None:
        """Sets the value; None leaves it as it is.

        Raises:
            TypeError, ValueError: the value or a tag is wrong, or a tag is lacking.
        """
        if value is None:
            return
        _check_number(value)
        key = self._tags(tags)
        with _lock:
            self._values()[key] = (time.monotonic_ns(), value)


@DeveloperAPI
class Histogram(Metric):
    """How many observations lie between which boundaries.

    Args:
        boundaries: upper ends of the buckets, all above 0; the last bucket has none.

    Raises:
        ValueError: there are no boundaries, or one is not above 0.
    """

    _kind = "histogram"

    def __init__(
        self,
        name: str,
        description: str = "",
        boundaries: list[float] | None = None,
        tag_keys: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(name, description, tag_keys)
        if not boundaries:
            raise ValueError(
                "boundaries argument should be provided when using the Histogram class. "
                'e.g., Histogram("name", boundaries=[1.0, 2.0])'
            )
        for at, boundary in enumerate(boundaries):
            if boundary <= 0:
                raise ValueError(
                    f"Invalid `boundaries` argument at index {at}, {boundaries}. "
                    "Use positive values for the arguments."
                )
        self.boundaries = boundaries

    @property
    def info(self) -> dict[str, Any]:
        """Name, description, tag keys, default tags and boundaries."""
        return {**super().info, "boundaries": self.boundaries}

    def observe(self, value: float, tags: dict[str, str] | None = None) -> None:
        """Counts one observation.

        Raises:
            TypeError, ValueError: the value or a tag is wrong, or a tag is lacking.
        """
        _check_number(value)
        key = self._tags(tags)
        ends = tuple(sorted(map(float, self.boundaries)))
        with _lock:
            by = self._values(ends)
            counts, total = by.get(key, ([0] * (len(ends) + 1), 0.0))
            counts[bisect.bisect_left(ends, value)] += 1
            by[key] = (counts, total + value)


def collect(timeout: float = 30) -> list[dict[str, Any]]:
    """All figures of all processes of the session, added up.

    Args:
        timeout: seconds to wait at most for the answers of the others.

    Returns:
        One dict for each metric and set of tags, with ``name``, ``kind``, ``description``,
        ``tags`` and ``value``: the sum of a counter, the newest value of a gauge, and of a
        histogram a dict of ``count``, ``sum`` and ``buckets`` (upper end → how many lie at or
        below it).
    """
    engine = installed()
    answers = [_tell(0)] if engine is None else engine.survey("metrics", 0, timeout).answers()
    told: dict[tuple[str, str, Tags], list[Any]] = {}
    about: dict[tuple[str, str], tuple[str, list[float]]] = {}
    for answer in answers:
        for kind, name, description, boundaries, values in answer or ():
            about.setdefault((kind, name), (description, boundaries))
            for tags, value in values:
                key = tuple(tuple(pair) for pair in tags)
                told.setdefault((kind, name, key), []).append(value)
    return [
        {
            "name": name,
            "kind": kind,
            "description": about[kind, name][0],
            "tags": dict(tags),
            "value": _added_up(kind, values, about[kind, name][1]),
        }
        for (kind, name, tags), values in sorted(told.items())
    ]


def _added_up(kind: str, values: list[Any], boundaries: list[float]) -> Any:
    if kind == "counter":
        return sum(values)
    if kind == "gauge":
        return max(tuple(value) for value in values)[1]
    counts = [sum(column) for column in zip(*(counts for counts, _ in values), strict=False)]
    buckets, below = {}, 0
    for end, count in zip([*boundaries, float("inf")], counts, strict=False):
        below += count
        buckets[end] = below
    return {"count": below, "sum": sum(total for _, total in values), "buckets": buckets}


def prometheus_text(timeout: float = 30) -> str:
    """What :func:`collect` finds, in Prometheus' text format."""
    lines: list[str] = []
    named = set()
    for metric in collect(timeout):
        name = _word(metric["name"])
        if name not in named:
            named.add(name)
            lines += [f"# HELP {name} {_escaped(metric['description'])}"]
            lines += [f"# TYPE {name} {metric['kind']}"]
        value, tags = metric["value"], metric["tags"]
        if metric["kind"] == "histogram":
            for end, count in value["buckets"].items():
                end_text = "+Inf" if end == float("inf") else f"{end:g}"
                lines.append(f"{name}_bucket{_labels({**tags, 'le': end_text})} {count}")
            lines.append(f"{name}_sum{_labels(tags)} {value['sum']:g}")
            lines.append(f"{name}_count{_labels(tags)} {value['count']}")
        else:
            lines.append(f"{name}{_labels(tags)} {value:g}")
    return "".join(f"{line}\n" for line in lines)


def _word(name: str) -> str:
    """A name as the format allows it: it could forge a line otherwise."""
    return "".join(c if c.isalnum() or c in "_:" else "_" for c in name)


def _escaped(text: str) -> str:
    return shown_text(text).replace("\\", "\\\\").replace("\n", "\\n")


def _labels(tags: dict[str, str]) -> str:
    quoted = []
    for key, value in tags.items():
        text = _escaped(value).replace('"', '\\"')
        quoted.append(f'{_word(key)}="{text}"')
    return "{" + ",".join(quoted) + "}" if quoted else ""
