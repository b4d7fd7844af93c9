"""Checks of exercises, and what they count."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic import pending, put, recording, task

import paralab
from paralab_profiling import Check, Recording, Rule, compare
from paralab_profiling.details import byte_count
from paralab_profiling.lessons import checking
from paralab_profiling.lessons import measures as count
from paralab_profiling.runs import Run
from paralab_profiling.taking import take

pytestmark = pytest.mark.slow

EVIL = "</p><script>alert(1)</script>\x1b[2J\x00&\"'"

CHAIN = recording(
    put("p", 0, 800),
    task("a", 2, 5, needs=["p"], bytes_in=10, bytes_out=1_000),
    task("b", 6, 9, name="g", needs=["a"], bytes_in=20, bytes_out=2_000, is_fetched=False),
    task("c", 7, 9, name="<locals>.g", worker=3, needs=["a", "b"], bytes_in=30, bytes_out=4_000),
    task("d", 8, 8.5, name="Box.__init__", worker=4, kind="creation", bytes_in=0, bytes_out=0),
)


def test_counts() -> None:
    assert count.task_count(CHAIN) == 3
    assert [each.id for each in count.named(CHAIN, "g")] == ["b", "c"]
    assert count.at_once(CHAIN) == 3
    assert count.at_once(count.named(CHAIN, "g")) == 2
    assert (count.actors(CHAIN), count.puts(CHAIN), count.method_calls(CHAIN)) == (1, 1, 0)
    assert (count.depth(CHAIN), count.edges(CHAIN)) == (3, 3)
    assert count.bytes_sent(CHAIN) == 60
    assert count.bytes_fetched(CHAIN) == 5_000
    assert count.early_gets(CHAIN) == 1, "a was fetched before b was submitted"


def test_calls_of_actors() -> None:
    calls = [("a", "x"), ("b", "x"), ("c", "y")]
    run = recording(*(task(at, 1, 2, kind="actor", actor=actor) for at, actor in calls))
    assert (count.method_calls(run), count.calls_of_busiest(run)) == (3, 2)


def test_counts_of_nothing() -> None:
    assert count.calls_of_busiest(CHAIN) == 0
    empty = recording()
    assert count.task_count(empty) == count.depth(empty) == count.early_gets(empty) == 0
    assert count.at_once(recording(pending("a", 1))) == 0


def test_an_end_is_before_a_start_of_the_same_moment() -> None:
    assert count.at_once(recording(task("a", 0, 5), task("b", 5, 9))) == 1


RULES = (
    Rule("results fetched early", count.early_gets, "get is in the loop.", "it waits", "collect"),
    Rule("tasks", count.task_count, "too few tasks.", "one worker is idle", "split it", 4, 8),
    Rule(
        "sent", count.bytes_sent, "much is sent.", "it costs", "put it", most=50, shown=byte_count
    ),
)


def check(*rules: Rule, **more: Any) -> Check:
    fields: dict[str, Any] = {"arguments": lambda rng: ([rng.randrange(99)],), "answer": sum}
    return Check(rules=rules, **fields | more)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule("x", len, "", "", "", 2, 2), "2"),
        (Rule("x", len, "", "", "", 2), "2 or more"),
        (Rule("x", len, "", "", "", most=1_000), "1,000 or less"),
        (Rule("x", len, "", "", "", 1, 2), "1 to 2"),
        (Rule("x", len, "", "", "", most=5_000, shown=byte_count), "5.00 kB or less"),
    ],
)
def test_what_is_expected_is_said(rule: Rule, expected: str) -> None:
    assert rule.expected == expected


def test_the_first_rule_that_does_not_hold_is_told_in_order() -> None:
    most_early, *others = RULES
    strict = Rule(most_early.what, most_early.measure, "get is in the loop.", "it waits", "x", 0, 0)
    verdict = check(strict, *others).judge("total", CHAIN)
    assert verdict.state == "not yet"
    assert verdict.title == "Not yet, total: get is in the loop."
    assert list(verdict.rows) == [
        ("measured", "results fetched early: 1"),
        ("expected", "0"),
        ("why it matters", "it waits"),
        ("next", "x"),
    ]
    assert repr(verdict).splitlines()[0] == verdict.title
    second = check(*RULES).judge("total", CHAIN)
    assert ("measured", "tasks: 3") in second.rows
    third = check(RULES[2]).judge("total", CHAIN)
    assert dict(third.rows)["expected"] == "50 B or less"


def test_when_all_rules_hold_it_says_what_was_measured() -> None:
    verdict = check(RULES[0], then="Now with 3 times as many.").judge("total", CHAIN)
    assert verdict.passed
    assert verdict.rows == [("results fetched early", "1 (expected 0 or more)")]
    assert verdict.last == "Now with 3 times as many."


def test_the_picture_of_the_call_comes_last() -> None:
    def draw(run: Recording) -> object:
        return compare(Run(f"{len(run)} tasks", 0.1, 2, []))

    verdict = check(draw=draw).judge("total", CHAIN)
    bundle = verdict._repr_mimebundle_()
    assert list(bundle) == ["text/plain", "text/html"]
    assert bundle["text/html"].index("<table>") < bundle["text/html"].index("<img")
    assert "4 tasks" in bundle["text/plain"]
    assert check(draw=draw).judge("total", recording()).picture is None


def test_names_are_text_and_never_markup() -> None:
    rule = Rule(EVIL, len, EVIL, EVIL, EVIL, least=99)
    html = check(rule).judge(EVIL, CHAIN)._repr_mimebundle_()
    assert "<script>" not in html["text/html"]
    assert not {"\x00", "\x1b"} & {*html["text/html"], *html["text/plain"]}


def test_a_call_is_quoted_so_that_it_can_be_read() -> None:
    quoted = checking.call_text(
        "f", [[1, 2], "text", len, object(), [object()], b"x" * 99, "long " * 99]
    )
    assert quoted == (
        "f([1, 2], 'text', <len>, <object>, <list of 1>, b'xxxxxxxxxxx...xxxxxxxxxxxxx', "
        "'long long lo...ng long long ')"
    )
    numbers = list(range(10**12, 10**12 + 99))
    assert checking.call_text("f", [numbers]) == "f(<list of 99>)"

    class Named:
        __name__ = "<b>\x1b[2J"

    assert "\x1b" not in checking.call_text("f", [Named()])


def test_an_error_is_told_with_its_line() -> None:
    def fails(number: int) -> float:
        return number / 0

    with pytest.raises(ZeroDivisionError) as caught:
        fails(1)
    found, elsewhere = (
        dict(checking.raised("fails(1)", caught.value, attempt).rows)["measured"]
        for attempt in (fails, len)
    )
    first = fails.__code__.co_firstlineno
    assert found == f"ZeroDivisionError: division by zero, at line {first + 1} in fails"
    assert elsewhere == "ZeroDivisionError: division by zero"


def title_and_facts(attempt: Callable[..., Any], **more: Any) -> tuple[str, dict[str, str]]:
    verdict = check(**more)(attempt)
    assert not verdict.passed
    return verdict.title, dict(verdict.rows)


def test_wrong_results_are_told_before_anything_is_counted(runtime: Any) -> None:
    total = paralab.remote(lambda numbers: sum(numbers))

    def stub(_numbers: list[int]) -> None:
        return None

    def forgets_get(numbers: list[int]) -> Any:
        return total.remote(numbers)

    def forgets_get_in_a_list(numbers: list[int]) -> Any:
        return [total.remote(numbers)]

    def raises(_numbers: list[int]) -> None:
        raise ValueError(EVIL)

    title, found = title_and_facts(stub, seed=1)
    number = random.Random(1).randrange(99)
    assert title == f"Not yet: stub([{number}]) gave another result."
    assert (found["measured"], found["expected"]) == ("None", str(number))
    for attempt in (forgets_get, forgets_get_in_a_list):
        title, found = title_and_facts(attempt)
        assert title.endswith("gave a reference, and no value.")
        assert "paralab.get" in found["next"]
    title, found = title_and_facts(raises)
    assert title.endswith("raised an error.")
    assert found["measured"].startswith("ValueError: </p>")
    assert list(found) == ["measured", "expected", "why it matters", "next"]


def test_a_real_call_is_counted_alone(runtime: Any) -> None:
    add = paralab.remote(lambda one, other: one + other)
    paralab.get([add.remote(1, 2) for _ in range(5)])

    def chain(numbers: list[int]) -> Any:
        ref = numbers[0]
        for number in numbers[1:]:
            ref = add.remote(ref, number)
        return paralab.get(ref)

    def with_get_in_the_loop(numbers: list[int]) -> Any:
        result = numbers[0]
        for number in numbers[1:]:
            result = paralab.get(add.remote(result, number))
        return result

    rules = [
        Rule("fetched early", count.early_gets, "get is in the loop.", "", "", most=0),
        Rule("tasks", count.task_count, "", "", "", 3, 3),
        Rule("depth", count.depth, "", "", "", 3, 3),
    ]
    numbers = check(*rules, arguments=lambda rng: (rng.choices(range(9), k=4),))
    passed = numbers(chain)
    assert passed.passed, passed
    assert [fact for _, fact in passed.rows] == [
        "0 (expected 0)",
        "3 (expected 3)",
        "3 (expected 3)",
    ]
    failed = numbers(with_get_in_the_loop)
    assert dict(failed.rows)["measured"] == "fetched early: 2"
    assert failed.title == "Not yet, with_get_in_the_loop: get is in the loop."


def test_a_known_mistake_is_told_before_the_wrong_result(runtime: Any) -> None:
    mine: list[int] = []
    keep = paralab.remote(lambda number: mine.append(number))

    def keeps(numbers: list[int]) -> int:
        paralab.get([keep.remote(number) for number in numbers])
        return sum(mine)

    kept = Rule("gave nothing back", count.empty_results, "they kept it.", "", "return it", most=0)
    verdict = check(mistakes=[kept], arguments=lambda rng: ([1, 2],))(keeps)
    assert verdict.title == "Not yet, keeps: they kept it."
    assert dict(verdict.rows)["measured"] == "gave nothing back: 2"


def test_what_has_not_ended_cannot_be_judged(runtime: Any) -> None:
    def goes_on(numbers: list[int]) -> int:
        paralab.remote(_fails).remote()
        return sum(numbers)

    verdict = check()(goes_on)
    assert verdict.state == "cannot judge"
    assert not verdict.passed
    assert ("tasks not ended or failed", "1") in verdict.rows


def test_what_ends_behind_the_result_is_waited_for(
    runtime: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    signal = tmp_path / "the check has looked"

    def waits() -> None:
        while not signal.exists():
            time.sleep(0.01)

    def looks() -> Recording:
        found = take()
        signal.touch()
        return found

    def does_not_wait(numbers: list[int]) -> int:
        paralab.remote(waits).remote()
        return sum(numbers)

    monkeypatch.setattr(checking, "take", looks)
    monkeypatch.setattr(checking, "BEHIND_SECONDS", 60.0)
    assert check()(does_not_wait).passed


def _fails() -> None:
    raise ValueError("on purpose")
