"""Looking at what ran: how long a piece of a program took, on which workers, and a picture of it.

``record`` measures a block and collects the tasks that ran in it; ``compare`` and ``verdict``
draw such runs on one time axis.  ``take`` gives all events of the session as a ``Recording``,
which a file can keep, to be looked at later and elsewhere.  The views of a recording stand in
folders of their own, see ``profiling/README.md``.  Every picture has the same facts as text.
"""

from paralab_profiling.aggregation.measuring import aggregate
from paralab_profiling.aggregation.result import Aggregation
from paralab_profiling.attaching import AttachError, attach
from paralab_profiling.breakdown.drawing import overhead
from paralab_profiling.exercises.exercise import Exercise, Outcome, exercise
from paralab_profiling.explain import Explanation, Finding, explain
from paralab_profiling.graph.drawing import task_graph
from paralab_profiling.graph.words import to_dot, to_mermaid
from paralab_profiling.lessons.checking import Check, Rule, Verdict
from paralab_profiling.lessons.predict import Prediction, predict
from paralab_profiling.live import (
    ClusterState,
    LiveCosts,
    LiveView,
    cluster,
    live,
    live_cost,
    progress,
)
from paralab_profiling.memory.holders import Holders, who_holds
from paralab_profiling.picture import Picture
from paralab_profiling.profilers import (
    Difference,
    Frame,
    Profile,
    ProfileError,
    Profiling,
    collect,
    flame,
    icicle,
    merge,
    profile,
    sunburst,
)
from paralab_profiling.recording import Put, Recording, RecordingError, Source, Task, Wait
from paralab_profiling.runs import Run, Slice, record
from paralab_profiling.scaling.measuring import speedup
from paralab_profiling.scaling.replay import Replay, replay
from paralab_profiling.scaling.result import Speedup
from paralab_profiling.scaling.what_if import WhatIf, what_if
from paralab_profiling.stamps import Stamp, stamp
from paralab_profiling.taking import take
from paralab_profiling.timelines.compare import compare, verdict
from paralab_profiling.timelines.drawing import timeline
from paralab_profiling.timelines.perfetto import perfetto, save_perfetto

__all__ = [
    "Aggregation",
    "AttachError",
    "Check",
    "ClusterState",
    "Difference",
    "Exercise",
    "Explanation",
    "Finding",
    "Frame",
    "Holders",
    "LiveCosts",
    "LiveView",
    "Outcome",
    "Picture",
    "Prediction",
    "Profile",
    "ProfileError",
    "Profiling",
    "Put",
    "Recording",
    "RecordingError",
    "Replay",
    "Rule",
    "Run",
    "Slice",
    "Source",
    "Speedup",
    "Stamp",
    "Task",
    "Verdict",
    "Wait",
    "WhatIf",
    "aggregate",
    "attach",
    "cluster",
    "collect",
    "compare",
    "exercise",
    "explain",
    "flame",
    "icicle",
    "live",
    "live_cost",
    "merge",
    "overhead",
    "perfetto",
    "predict",
    "profile",
    "progress",
    "record",
    "replay",
    "save_perfetto",
    "speedup",
    "stamp",
    "sunburst",
    "take",
    "task_graph",
    "timeline",
    "to_dot",
    "to_mermaid",
    "verdict",
    "what_if",
    "who_holds",
]
