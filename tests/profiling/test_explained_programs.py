"""explain() on real programs: each diagnosis has one that triggers it, and one that must not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import explained_programs as programs
import pytest

import paralab
from paralab.platform import NumericThreads
from paralab_profiling import explain, take
from paralab_profiling.explain import findings
from paralab_profiling.recording import Recording

pytestmark = pytest.mark.slow

PAIRS: dict[str, tuple[Callable[[], Any], ...]] = {
    "too fine tasks": (programs.fine_tasks, programs.coarse_tasks),
    "get in a loop": (
        programs.get_each,
        programs.get_at_the_end,
        programs.get_with_others_under_way,
    ),
    "more blocking than cores": (programs.nested_gets, programs.nested_refs),
    "large closures": (programs.large_closure, programs.put_table),
    "the same large argument": (programs.same_argument, programs.chunks),
    "big results that are fetched": (programs.big_results, programs.reduced_results),
    "one straggler": (programs.straggler, programs.equal_tasks),
    "one actor as the bottleneck": (programs.one_actor, programs.tasks_and_an_actor),
    "unequal lanes": (programs.uneven_actors, programs.even_actors),
}
"""For each kind a program that is a case of it, and some that are not."""


RUNS = 6


def recorded(program: Callable[[], Any], **options: Any) -> Iterator[Recording]:
    """What a program did in each of several runs, on workers that have been started.

    One run that is as it should be is enough for a test: if the machine did something else for some
    hundredths of a second in the middle of one, that run was a case of another diagnosis.
    """

    @paralab.remote
    def met(there: list[Any]) -> None:
        paralab.get(there)

    paralab.init(num_cpus=2, **options)
    gate = [paralab.put(0)]
    for _ in range(RUNS):
        paralab.get([met.remote(gate), met.remote(gate)])
        begin = time.monotonic_ns()
        kept = program()
        recording = take().between(begin, time.monotonic_ns())
        del kept
        yield recording


def kinds(recording: Recording) -> list[str]:
    return [each.kind for each in findings(recording)]


def shown(recording: Recording) -> list[str]:
    return [each.kind for each in explain(recording).findings]


@pytest.mark.parametrize("kind", PAIRS)
def test_a_program_that_triggers_it(kind: str, shutdown_after: None) -> None:
    for recording in recorded(PAIRS[kind][0]):
        if kind in shown(recording):  # among the first three
            break
    else:
        pytest.fail(f"{kinds(recording)}, of which {shown(recording)} are shown")
    (found,) = [each for each in findings(recording) if each.kind == kind]
    assert found.gain_ns is not None
    assert 0 < found.share <= 1
    assert set(found.tasks) <= set(recording.by_id)
    assert found.evidence
    compile(found.code, kind, "exec")


GOOD = [(kind, program) for kind, (_, *good) in PAIRS.items() for program in good]


@pytest.mark.parametrize(("kind", "program"), GOOD, ids=[program.__name__ for _, program in GOOD])
def test_a_program_that_must_not(
    kind: str, program: Callable[[], Any], shutdown_after: None
) -> None:
    assert any(kind not in kinds(recording) for recording in recorded(program))


@pytest.mark.parametrize(
    ("program", "is_found"), [(programs.too_much_for_the_store, True), (programs.let_go_of, False)]
)
def test_spilling(program: Callable[[], Any], is_found: bool, shutdown_after: None) -> None:
    recording = next(recorded(program, object_store_memory=40 << 20))
    found = [each for each in findings(recording) if each.kind == "spilling"]
    assert bool(found) == is_found
    if found:
        assert found[0].gain_ns is None
        assert "not measured" in found[0].gain
        compile(found[0].code, "spilling", "exec")


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize(
    ("program", "is_found"), [(programs.many_threads, True), (programs.one_thread, False)]
)
def test_threads(program: Callable[[], Any], is_found: bool, shutdown_after: None) -> None:
    if not NumericThreads().libraries:
        pytest.skip("no numeric library that can be told how many threads to use")
    kind = "more threads than cores"
    assert any((kind in kinds(recording)) == is_found for recording in recorded(program))
