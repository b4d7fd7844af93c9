"""Why a run took as long as it did, in sentences that rest on its figures.

A diagnosis is a pure function from :class:`Facts` (a recording, and what is computed of it once)
to findings.  Each says what it found, the figures that it rests on, what to write instead and what
that would gain.  Counts and shares decide whether there is a finding; times only say what it
costs.  Where the events cannot tell two programs apart, the remedy says on what it depends.

=============== =====================================================================
module          diagnoses
=============== =====================================================================
``grain``       too fine tasks
``waiting``     get in a loop; more blocking than cores
``moving``      large closures; the same large argument again; big results; spilling
``balance``     one straggler; one actor as the bottleneck; unequal lanes
``threads``     more threads than cores
=============== =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from paralab_profiling.explain.balance import one_actor, one_straggler, unequal_lanes
from paralab_profiling.explain.finding import Explanation, Facts, Finding
from paralab_profiling.explain.grain import too_fine
from paralab_profiling.explain.moving import (
    big_results,
    large_closure,
    same_argument,
    spilling,
)
from paralab_profiling.explain.threads import oversubscribed
from paralab_profiling.explain.waiting import blocking, get_in_a_loop
from paralab_profiling.recording import Recording, expect_recording

__all__ = ["Explanation", "Finding", "explain", "findings"]

MOST = 3
LEAST_SHARE = 0.05
"""Of the wall time that a finding has to cost; less is not worth a change."""
DIAGNOSES: tuple[Callable[[Facts], Iterator[Finding]], ...] = (
    too_fine,
    get_in_a_loop,
    blocking,
    large_closure,
    same_argument,
    big_results,
    spilling,
    one_straggler,
    one_actor,
    unequal_lanes,
    oversubscribed,
)


def findings(recording: Recording) -> list[Finding]:
    """All that stands out, most costly first; what has no predicted gain comes last."""
    facts = Facts(recording)
    found = [_within_the_run(each) for diagnose in DIAGNOSES for each in diagnose(facts)]
    worth = [
        each
        for each in found
        if each.gain_ns is None or each.is_always_said or each.share >= LEAST_SHARE
    ]
    return sorted(worth, key=lambda each: -each.share)


def _within_the_run(finding: Finding) -> Finding:
    """Nothing gains more than the whole run, though parts of it may overlap."""
    if finding.gain_ns is None or finding.gain_ns <= finding.wall_ns:
        return finding
    return replace(finding, gain_ns=finding.wall_ns)


def explain(recording: Recording) -> Explanation:
    """What kept a run from being faster: at most three findings, most costly first.

    Args:
        recording: from :func:`paralab_profiling.take`, or a file.

    Raises:
        TypeError: it is something else.
    """
    expect_recording(recording, "explain")
    found = findings(recording)
    ended = sum(task.ran for task in recording)
    begin, end = recording.span_ns
    shown = tuple(found[:MOST])
    return Explanation(shown, len(found) - len(shown), ended, end - begin, recording.session)
