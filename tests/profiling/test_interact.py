"""What a picture's HTML carries for its script; what the script does is in tests/browser/."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hostile import PAYLOADS, markup_of, name_of
from synthetic import recording, task

import paralab
from paralab_profiling import Picture, Source, take
from paralab_profiling.details import Details, details_of
from paralab_profiling.picture import interact_script
from paralab_profiling.svg import Drawing


def picture(details: Any, **more: Any) -> Picture:
    drawing = Drawing()
    drawing.height = 60
    for at, name in enumerate(details):
        drawing.box(at, 0, 1, 9, "red", task=name)
    return Picture("A finding", "text", drawing.finish("A finding", "how"), ("a",), [("b",)],
                   drawing.id, details, **more)  # fmt: skip


def known(html: str) -> Any:
    """The data that the script is called with."""
    found = re.search(r"\)\(document\.getElementById\(.*?\),(\{.*\})\)</script></div>$", html)
    assert found is not None
    return json.loads(found[1])


def test_the_script_gets_facts_sources_and_dependencies() -> None:
    source = Source("f.py", 3, "def f():\n    return 1 < 2")
    run = recording(
        task("2.1", 1, 2), task("2.2", 3, 5, needs=("2.1", "2.99")), sources={"f": source}
    )
    run = replace(run, session="abc")
    shown = picture(details_of(run, run))
    assert shown.run == "abc"
    told = known(shown.to_html())
    assert told["run"] == "abc"
    assert told["facts"]["2.2"]["task"] == "f (2.2)"
    assert told["facts"]["2.2"]["source"] == "f"
    assert told["sources"] == {"f": {"file": "f.py", "line": 3, "text": source.text}}
    assert told["takes"] == {"2.2": ["2.1"]}, "2.99 is not in the picture"
    packed = known(picture({}, trace='{"traceEvents":[]}').to_html())["trace"]
    assert gzip.decompress(base64.b64decode(packed)) == b'{"traceEvents":[]}'
    assert not known(picture({}).to_html())["trace"]


def test_without_a_session_a_picture_selects_for_itself() -> None:
    one, other = picture({}), picture({"1.1": {"state": "done"}})
    assert one.run == one.id != other.run
    assert known(other.to_html())["facts"] == {"1.1": {"state": "done"}}


def test_html_stays_small_with_many_tasks() -> None:
    long = {"error": "x" * 3_000}
    shown = picture(Details({f"1.{at}": long for at in range(400)}))
    html = shown.to_html()
    assert 250_000 < len(html) < 300_000
    facts = known(html)["facts"]
    assert list(facts) == [f"1.{at}" for at in range(len(facts))], "the first ones stay"
    run = recording(*(task(f"2.{at}", at, at + 1) for at in range(10_000)))
    assert len(picture(details_of(run, run)).to_html()) < 300_000


@pytest.mark.parametrize("payload", PAYLOADS, ids=name_of)
def test_names_stay_text(payload: str) -> None:
    payload = payload[:1_000]
    facts = {payload: {payload: payload, "source": payload}}
    details = Details(facts, payload, {payload: Source(payload, 1, payload)}, {payload: (payload,)})
    html = picture(details, trace=payload).to_html()
    honest = picture(Details({"1.1": {"a": "b"}}, "run")).to_html()
    assert markup_of(html)[:2] == markup_of(honest)[:2]
    assert html.lower().count("<script") == html.lower().count("</script") == 1
    assert known(html)["facts"] == facts
    html.encode()


def test_the_script_is_small_and_asks_nobody() -> None:
    text = interact_script()
    assert len(text) < 12_000
    assert "//" not in text.replace("https://ui.perfetto.dev", "").replace("http://www.w3.org", "")
    assert "innerHTML" not in text
    assert "fetch(" not in text
    assert "</" not in text


def test_details_of_a_session(runtime: Any) -> None:
    @paralab.remote
    def double(x: int) -> int:
        return 2 * x

    assert paralab.get(double.remote(double.remote(1))) == 4
    run = take()
    told = known(picture(details_of(run, run)).to_html())
    assert told["run"] == run.session
    first, second = (each.id for each in run)
    assert told["takes"] == {second: [first]}
    (source,) = told["sources"].values()
    assert "return 2 * x" in source["text"]
