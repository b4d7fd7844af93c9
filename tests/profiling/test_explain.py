"""explain() on made-up recordings: exact figures, what is not said, and how it is shown."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hostile import PAYLOADS
from synthetic import BEGIN, MS, task, wait
from synthetic import recording as synthetic_recording

from paralab_profiling import Finding, Recording, Task, explain
from paralab_profiling.explain import Explanation, findings
from paralab_profiling.recording import Definition


def recording(*parts: Any, **more: Any) -> Recording:
    whole: Recording = synthetic_recording(*parts, **more)
    return whole


def found(whole: Recording, kind: str) -> Finding | None:
    each = [finding for finding in findings(whole) if finding.kind == kind]
    assert len(each) < 2
    return each[0] if each else None


def one(whole: Recording, kind: str) -> Finding:
    finding = found(whole, kind)
    assert finding is not None
    compile(finding.code, kind, "exec")
    return finding


def fine(run: float = 0.1, **more: Any) -> Recording:
    """400 tasks one after the other, each with 0.1 ms to unpickle and 0.1 ms to store."""
    step = run + 0.2
    return recording(
        *(
            task(f"1.{n}", 1 + n * step, 1 + n * step + run, name="clean", submitted=0, **more)
            for n in range(400)
        ),
        workers=1,
    )


def test_too_fine_tasks() -> None:
    finding = one(fine(), "too fine tasks")
    assert "400 tasks of clean are too small: at 100 µs each, 67 %" in finding.finding
    assert "about 20 of them" in finding.remedy
    # Of 0.2 ms for each of 400, 19 of 20 are saved.
    assert finding.gain_ns == pytest.approx(76 * MS, rel=0.02)
    assert finding.share == pytest.approx(76 / 121, rel=0.02)
    assert "range(0, len(items), 20)" in finding.code
    assert found(fine(run=2), "too fine tasks") is None


def loop(turns: int, *, at_once: int = 1, needs_last: bool = False) -> Recording:
    """Calls of 10 ms that the driver waits for one by one; ``at_once`` are under way."""
    parts: list[Any] = []
    for n in range(turns):
        begin = 10.0 * (n // at_once)
        parts.append(
            task(f"1.{n}", begin + 1, begin + 9, worker=2 + n % at_once, submitted=begin,
                 name=f"f{n}" if needs_last else "f")
        )  # fmt: skip
        if (n + 1) % at_once == 0:
            parts.append(wait(begin + 1, begin + 9.5, f"1.{n}"))
    return recording(*parts)


def test_get_in_a_loop() -> None:
    finding = one(loop(10), "get in a loop")
    assert "9 times the caller stood in get()" in finding.evidence
    assert finding.gain_ns == pytest.approx(9 * 8.5 * MS / 2)
    assert finding.tasks == tuple(f"1.{n}" for n in range(9))


@pytest.mark.parametrize(
    "whole",
    [
        loop(4),  # three turns
        loop(10, at_once=2),
        loop(10, needs_last=True),  # each another function
        replace(loop(10), workers=1),
        replace(loop(10), waits=loop(10).waits[-1:]),
    ],
    ids=["few", "two under way", "a chain", "one worker", "one wait"],
)
def test_no_get_in_a_loop(whole: Recording) -> None:
    assert found(whole, "get in a loop") is None


def nested(depth: int) -> Recording:
    """Each task waits for the next one inside it."""
    parts: list[Any] = []
    for n in range(depth):
        parent = f"{n + 1}.1" if n else None
        parts.append(
            task(
                f"{n + 2}.1", n + 1, 100 - n, worker=n + 2, owner=n + 1, parent=parent, name="walk"
            )
        )
        if n < depth - 1:
            parts.append(wait(n + 2, 98 - n, f"{n + 3}.1", process=n + 2, parent=f"{n + 2}.1"))
    return recording(*parts)


def test_more_blocking_than_cores() -> None:
    finding = one(nested(5), "more blocking than cores")
    assert finding.finding == "Up to 4 tasks of walk stood in get() at once, on 2 cores"
    assert "5 processes ran tasks" in finding.evidence
    assert found(nested(3), "more blocking than cores") is None


def test_large_closures() -> None:
    known = {"look": Definition(8_000_000, "table"), "other": Definition(900_000, "x")}
    calls = [task(f"1.{n}", 20 * n + 15, 20 * n + 16, name="look") for n in range(4)]
    slow = dict(calls[0].stamps) | {"taken": calls[0].stamps["loaded"] - 10 * MS}
    slow["received"] = slow["sent"] = slow["ready"] = slow["leased"] = slow["taken"]
    slow |= dict.fromkeys(("submitted", "pickled", "packed"), slow["taken"])
    calls[0] = replace(calls[0], stamps=slow)
    whole = recording(*calls, definitions=known)
    finding = one(whole, "large closures")
    assert finding.finding == "look carries 8.00 MB with it to each worker"
    assert "sent to 1 process," in finding.evidence
    assert "the variable table" in finding.evidence
    # 10 ms against the 0.05 + 0.1 ms of the later ones.
    assert finding.gain_ns == pytest.approx(9.85 * MS)
    assert "table_ref = paralab.put(table)" in finding.code
    small = replace(whole, definitions={"look": Definition(900_000, "table")})
    assert found(small, "large closures") is None


def given(count: int, large: str = "8000000-00c0ffee") -> Recording:
    calls = [task(f"1.{n}", 10 * n + 5, 10 * n + 6, overhead=1, large=large) for n in range(count)]
    return recording(*calls)


def test_the_same_large_argument() -> None:
    finding = one(given(5), "the same large argument")
    assert finding.finding == "5 calls of f were given the same 8.00 MB by value"
    assert "40.0 MB in all" in finding.evidence
    assert finding.gain_ns == pytest.approx(4 * 2 * MS)
    assert found(given(3), "the same large argument") is None
    assert found(given(5, ""), "the same large argument") is None
    others = [replace(each, large=f"8000000-{n}") for n, each in enumerate(given(5))]
    assert found(recording(*others), "the same large argument") is None


def results(is_fetched: bool = True, size: int = 8_000_000, count: int = 5) -> Recording:
    calls = [
        task(f"1.{n}", 10 * n, 10 * n + 3, overhead=2, bytes_out=size, is_fetched=is_fetched)
        for n in range(count)
    ]
    return recording(*calls)


def test_big_results_that_are_fetched() -> None:
    kind = "big results that are fetched"
    finding = one(results(), kind)
    assert finding.finding == "get() brought 40.0 MB of results of f to the driver"
    assert finding.gain_ns == pytest.approx(5 * 2 * MS / 2)
    assert found(results(is_fetched=False), kind) is None
    assert found(results(size=900_000), kind) is None
    assert found(results(count=3), kind) is None


def test_spilling() -> None:
    store = {"capacity": 40_000_000, "peak": 40_000_000, "spilled": 24_000_000, "restored": 8}
    finding = one(replace(loop(2), store=store), "spilling")
    assert finding.finding.startswith("24.0 MB did not fit")
    assert "object_store_memory=62 << 20" in finding.code
    assert finding.gain_ns is None
    assert finding.gain.startswith("Not to be predicted: ")
    assert found(replace(loop(2), store=store | {"spilled": 0}), "spilling") is None


def uneven(last: float, workers: int = 2) -> Recording:
    """Six calls of 9 ms on two workers, and one after them, all submitted at once."""
    calls = [
        task(f"1.{n}", 1 + 10 * (n // 2), 10 + 10 * (n // 2), worker=2 + n % 2, submitted=0)
        for n in range(6)
    ]
    last_one = task("1.9", 31, 31 + last, worker=3, submitted=0)
    return recording(*calls, last_one, workers=workers)


def test_one_straggler() -> None:
    finding = one(uneven(300), "one straggler")
    assert finding.finding == "One call of f took 300 ms and went on when the others were done"
    assert "For 300 ms nothing else ran" in finding.evidence
    assert finding.gain_ns == pytest.approx(150 * MS)
    assert finding.tasks == ("1.9",)
    assert "parts.remote" not in finding.code
    assert "split(item)" in finding.code
    assert "run it again to see" in finding.gain
    assert found(uneven(20), "one straggler") is None
    assert found(uneven(70, workers=1), "one straggler") is None


def test_a_straggler_that_should_be_submitted_first() -> None:
    # 12 short ones in 60 ms on two workers, then a long one: beside all of them it takes 60 ms.
    calls = [
        task(f"1.{n}", 1 + 10 * (n // 2), 11 + 10 * (n // 2), worker=2 + n % 2, submitted=0)
        for n in range(12)
    ]
    finding = one(recording(*calls, task("1.90", 61, 121, submitted=0)), "one straggler")
    assert finding.remedy.startswith("Submit it first")
    assert finding.gain_ns == pytest.approx(30 * MS), "120 ms become (120 + 60) / 2"
    assert "items.sort" in finding.code


def test_gaps_before_a_straggler_are_not_its_cost() -> None:
    # The same, 30 ms apart: only while the long one ran alone could the other worker have helped.
    calls = [
        task(f"1.{n}", 1 + 40 * (n // 2), 11 + 40 * (n // 2), worker=2 + n % 2, submitted=0)
        for n in range(12)
    ]
    finding = one(recording(*calls, task("1.90", 241, 301, submitted=0)), "one straggler")
    assert finding.gain_ns == pytest.approx(30 * MS)


def test_a_long_task_that_others_outlast_is_no_straggler() -> None:
    short = [task(f"1.{n}", 1 + 10 * n, 10 * n + 9, submitted=0) for n in range(8)]
    long = task("1.9", 1, 75, worker=3, submitted=0)
    assert found(recording(*short, long), "one straggler") is None


def test_a_long_first_turn_of_a_loop_is_no_straggler() -> None:
    calls = [task("1.0", 0, 90), *(task(f"1.{n}", 90 + 10 * n, 98 + 10 * n) for n in range(1, 9))]
    assert found(recording(*calls), "one straggler") is None


def test_a_task_that_waits_for_its_parts_is_no_straggler() -> None:
    parts: list[Any] = [
        task(f"2.{n}", 10 * n + 1, 10 * n + 9, name="walk", parent="1.1", owner=2, worker=3)
        for n in range(6)
    ]
    parts += [task("1.1", 0, 60, name="walk"), wait(1, 59, process=2, parent="1.1")]
    assert found(recording(*parts), "one straggler") is None


def actor(*loads: int, name: str = "Scores.add", is_async: bool = False) -> list[Task]:
    """For each load an actor with so many calls of 10 ms, all sent at once."""
    calls: list[Task] = []
    for at, load in enumerate(loads):
        for n in range(load):
            begin = 1 if is_async else 1 + 10 * n
            call = task(f"1.{at}{n:03}", begin, begin + 9.9, worker=2 + at, name=name, submitted=0,
                        overhead=0, kind="actor", actor=f"1.{at}")  # fmt: skip
            early = dict(call.stamps) | {"sent": BEGIN, "received": BEGIN}
            calls.append(replace(call, stamps=early))
    return calls


def test_one_actor_as_the_bottleneck() -> None:
    kind = "one actor as the bottleneck"
    finding = one(recording(*actor(20)), kind)
    assert finding.finding.startswith("All wait for one Scores: it works 99 %")
    assert finding.gain_ns == pytest.approx(20 * 9.9 * MS / 2)
    assert "actors[hash(key) % len(actors)].add.remote(key)" in finding.code
    assert found(recording(*actor(7)), kind) is None, "too few to tell"
    assert found(recording(*actor(20, is_async=True)), kind) is None
    assert found(recording(*actor(10, 10)), kind) is None, "one of two"
    busy = [task(f"3.{n}", 10 * n, 10 * n + 9, worker=5, name="g") for n in range(20)]
    assert found(recording(*actor(20), *busy), kind) is None, "the others work too"


def test_unequal_lanes() -> None:
    finding = one(recording(*actor(18, 2)), "unequal lanes")
    assert "one of 2 actors of Scores had 1.80 times the mean" in finding.finding
    assert "ran 18 of 20 calls" in finding.evidence
    assert finding.gain_ns == pytest.approx(8 * 9.9 * MS)
    assert found(recording(*actor(11, 9)), "unequal lanes") is None
    pinned = [task(f"1.{n}", 1 + 10 * n, 10 * n + 9, submitted=0) for n in range(12)]
    assert "one of 2 workers" in one(recording(*pinned), "unequal lanes").finding
    assert found(uneven(70), "unequal lanes") is None, "that is one straggler"
    assert found(recording(*pinned, workers=1), "unequal lanes") is None
    later = task("1.99", 400, 401, name="g")
    assert found(recording(*pinned, later), "unequal lanes") is None, "the run took other time"


def test_more_threads_than_cores() -> None:
    kind = "more threads than cores"
    whole = replace(loop(8, at_once=2), facts={"cores": "4"}, native_threads={2: 3, 3: 3, 1: 9})
    finding = one(whole, kind)
    assert finding.finding == "2 workers compute with 8 threads on 4 cores"
    assert finding.gain_ns is None
    for other in ({"cores": "8"}, {}):
        assert found(replace(whole, facts=other), kind) is None
    for threads in ({2: 0, 3: 0}, {2: 7}, {1: 9, 2: 0}):
        assert found(replace(whole, native_threads=threads), kind) is None


def test_nothing_stands_out() -> None:
    for whole in (recording(), uneven(9), loop(3), fine(run=6)):
        assert findings(whole) == []
    explanation = explain(uneven(9))
    assert explanation.title == "Nothing stands out"
    assert explanation.text == "7 tasks in 40.3 ms\n\nNothing stands out."
    assert "Nothing stands out" in explanation.to_html()
    assert explain(recording()).title == "No task has ended yet"


def test_what_costs_little_is_not_said() -> None:
    long = task("2.1", 0, 2_000, name="g", worker=3)
    assert found(recording(*loop(10), *loop(10).waits, long), "get in a loop") is None


def many() -> Recording:
    """Four findings at once."""
    known = {"f": Definition(5_000_000, "table")}
    store = {"capacity": 1, "spilled": 1}
    calls = [replace(each, large="1000000-0") for each in loop(10)]
    return recording(*calls, *loop(10).waits, definitions=known, store=store)


def test_at_most_three_most_costly_first() -> None:
    explanation = explain(many())
    assert len(findings(many())) == 4
    assert explanation.findings[0].kind == "get in a loop"
    shares = [each.share for each in explanation.findings]
    assert shares == sorted(shares, reverse=True)
    assert (len(shares), explanation.more) == (3, 1)
    assert "1 smaller finding is left out" in explanation.text


def test_text_and_html_have_the_same_facts(tmp_path: Path) -> None:
    explanation = explain(loop(10))
    (finding,) = explanation.findings
    text = " ".join(explanation.text.split())
    for words in (finding.finding, finding.evidence, finding.gain):
        assert words in text
        assert words in unescape(explanation.to_html())
    assert "refs = [f.remote(item) for item in items]" in explanation.text
    assert all(len(line) <= 80 for line in explanation.text.splitlines())
    assert finding.gain == (
        "About 38.2 ms of 99.3 ms (39 %), if no call needs another's result, and 2 run as fast"
        " beside each other."
    )
    bundle = explanation._repr_mimebundle_()
    assert list(bundle) == ["text/plain", "text/html"]
    assert repr(explanation) == bundle["text/plain"]
    assert 'data-tasks="1.0 1.1 ' in bundle["text/html"]
    assert "<script>" not in bundle["text/html"], "no session, no pictures to select in"
    linked = explain(replace(loop(10), session="</script><b>")).to_html()
    assert '),"\\u003c/script\\u003e\\u003cb\\u003e")</script>' in linked
    assert explanation.save(tmp_path / "why.html").read_text() == bundle["text/html"]
    data = explanation.to_dict()
    assert data["findings"][0]["gain_seconds"] == pytest.approx(0.03825)


class Elements(HTMLParser):
    """The tags of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)


@pytest.mark.parametrize("name", PAYLOADS)
def test_names_are_text_and_never_markup(name: str) -> None:
    calls = [replace(each, name=name) for each in loop(10)]
    known = {name: Definition(5_000_000, name)}
    explanation = explain(recording(*calls, *loop(10).waits, definitions=known))
    assert isinstance(explanation, Explanation)
    assert len(explanation.findings) == 2
    assert Elements(explanation.to_html()).tags == {"div", "p", "ol", "li", "b", "br", "pre"}
    assert not {*"\x00\x1b\x07\x9b\r"} & {*explanation.text, *explanation.to_html()}
    for finding in explanation.findings:
        compile(finding.code, "code", "exec")


def test_ten_thousand_tasks() -> None:
    calls = [task(f"1.{n}", n / 2, n / 2 + 0.1, name=f"f{n % 9}") for n in range(10_000)]
    assert len(explain(recording(*calls)).to_html()) < 20_000
