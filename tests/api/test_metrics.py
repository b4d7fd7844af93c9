"""``util.metrics``: validation as Ray's, and figures of all processes added up."""

from __future__ import annotations

from typing import Any

import pytest

import paralab
from paralab.util.metrics import Counter, Gauge, Histogram, collect, prometheus_text


def found(name: str) -> list[dict[str, Any]]:
    return [metric for metric in collect() if metric["name"] == name]


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="Empty name is not allowed"):
        Counter("")
    with pytest.raises(TypeError, match="tag_keys should be a tuple"):
        Counter("a", tag_keys=["x"])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Tag keys must be str"):
        Counter("a", tag_keys=(1,))  # type: ignore[arg-type]
    counter = Counter("a", tag_keys=("x",))
    with pytest.raises(ValueError, match=r"Missing value for tag key\(s\): x"):
        counter.inc(1)
    with pytest.raises(ValueError, match="value must be >0, got 0"):
        counter.inc(0, {"x": "1"})
    with pytest.raises(TypeError, match="value must be int or float"):
        counter.inc("1", {"x": "1"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Tag values must be str"):
        counter.inc(1, {"x": 1})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="Unrecognized tag key z"):
        counter.set_default_tags({"z": "1"})
    with pytest.raises(ValueError, match="boundaries argument should be provided"):
        Histogram("h")
    with pytest.raises(ValueError, match="at index 0"):
        Histogram("h", boundaries=[0, 1])
    assert counter.info == {
        "name": "a",
        "description": "",
        "tag_keys": ("x",),
        "default_tags": {},
    }
    assert Histogram("h", boundaries=[1, 2]).info["boundaries"] == [1, 2]


def test_figures_of_all_processes_are_added_up(engine: str) -> None:
    name = f"done_{engine}"

    @paralab.remote
    class Doer:
        def __init__(self, which: str) -> None:
            self.counter = Counter(name, "what was done", tag_keys=("which",))
            self.counter.set_default_tags({"which": which})

        def do(self, times: int) -> None:
            self.counter.inc(times)

    doers = [Doer.remote("a"), Doer.remote("a"), Doer.remote("b")]
    paralab.get([doer.do.remote(2) for doer in doers])
    Counter(name, "what was done", tag_keys=("which",)).inc(1, {"which": "b"})
    assert [(each["tags"], each["value"]) for each in found(name)] == [
        ({"which": "a"}, 4.0),
        ({"which": "b"}, 3.0),
    ]
    assert f'{name}{{which="a"}} 4\n' in prometheus_text()


def test_gauges_and_histograms(engine: str) -> None:
    gauge, times = Gauge(f"level_{engine}"), Histogram(f"t_{engine}", boundaries=[1, 10])
    gauge.set(3)
    gauge.set(None)
    for value in (0.5, 1, 5, 50):
        times.observe(value)
    (level,) = found(f"level_{engine}")
    assert level["value"] == 3
    (histogram,) = found(f"t_{engine}")
    assert histogram["value"] == {
        "count": 4,
        "sum": 56.5,
        "buckets": {1.0: 2, 10.0: 3, float("inf"): 4},
    }
    assert f't_{engine}_bucket{{le="+Inf"}} 4\n' in prometheus_text()
