"""What the workers do now: what runs, CPU, memory, errors, last lines; resources; the store.

::

    node: workers, actors, store ──┐
    processes: "news"            ──┼──▶ Facts ──state_of──▶ ClusterState ──▶ text, picture, widget
    /proc: CPU time, memory      ──┘

Nobody is asked for what is free: the driver would give its idle workers back for that.  What is in
use is added up from the tasks that run and the actors that live.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from paralab.engine import Engine, Told, current
from paralab.ids import Address
from paralab.shown_text import shown_name
from paralab.state.told import TaskRow
from paralab.task_spec import RESOURCE_UNIT
from paralab_profiling.details import byte_count
from paralab_profiling.live.processes import Use, percent, use_of
from paralab_profiling.live.watched import shown
from paralab_profiling.live.widgets import has_widgets
from paralab_profiling.palette import FAILURE, RUN, STORE
from paralab_profiling.picture import Picture
from paralab_profiling.svg import IDLE, Drawing, three_digits

ROWS = 200
"""Tasks that have ended last, among which errors are counted."""
LOOK_SECONDS = 0.2
"""Between the two looks from which CPU use is taken."""
MOST_WORKERS = 24
RUNS_LEFT, CPU_LEFT, CPU_WIDTH, MEMORY_LEFT, MEMORY_WIDTH = 148.0, 330.0, 80.0, 470.0, 160.0


@dataclass(frozen=True)
class Facts:
    """What was asked, as it came."""

    at: float
    workers: Sequence[Mapping[str, Any]]
    actors: Sequence[Mapping[str, Any]]
    store: Mapping[str, Any]
    nodes: Sequence[Mapping[str, Any]]
    departed: Sequence[tuple[Any, ...]]
    prints: Sequence[tuple[Any, ...]]
    news: Sequence[Told]
    use: Mapping[int, Use]


@dataclass(frozen=True, slots=True)
class Process:
    """One worker or actor.

    Attributes:
        name: "worker 1", or "actor" and its class or name.
        pid: of the process.
        runs: the function that runs in it, "" if none does.
        cpu_percent: of one CPU, since the look before; None if that is not known.
        private, shared: bytes of memory.
        errors: how many of the last tasks failed there.
        last_line: what it printed last.
        actor: the actor's ref as hexadecimal digits, "" if it is none; names it for ``kill``.
    """

    name: str
    pid: int
    runs: str = ""
    cpu_percent: float | None = None
    private: int = 0
    shared: int = 0
    errors: int = 0
    last_line: str = ""
    actor: str = ""


@dataclass(frozen=True)
class ClusterState:
    """What the cluster does at one moment; ``repr`` and notebooks show it.

    Attributes:
        processes: workers, then actors.
        resources: by name what is in use and what there is.
        store_used, store_capacity, spilled: bytes.
        ended: how processes ended that are gone, the last ones.
        at: seconds on the machine's monotonic clock.
    """

    processes: tuple[Process, ...]
    resources: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    store_used: int = 0
    store_capacity: int = 0
    spilled: int = 0
    ended: tuple[str, ...] = ()
    at: float = 0.0

    @property
    def title(self) -> str:
        """The finding."""
        actors = sum(bool(each.actor) for each in self.processes)
        workers = len(self.processes) - actors
        used, there = self.resources.get("CPU", (0, 0))
        return (
            f"{three_digits(used)} of {three_digits(there)} CPUs in use: {workers} "
            f"worker{'s' * (workers != 1)}, {actors} actor{'s' * (actors != 1)}"
        )

    @property
    def note(self) -> str:
        """The store, and how processes ended."""
        said = f"store {byte_count(self.store_used)} of {byte_count(self.store_capacity)}"
        said += f", {byte_count(self.spilled)} spilled to files"
        return f"{said}; last to end: {self.ended[-1][:60]}" if self.ended else said

    def __repr__(self) -> str:
        lines = [self.title, self.note]
        lines.append(f"{'process':<18} {'pid':>7} {'CPU %':>5} {'memory':>8} {'shared':>8} runs")
        for each in self.processes:
            name = each.name if len(each.name) <= 18 else f"{each.name[:17]}…"
            line = (
                f"{name:<18} {each.pid:>7} {_percent(each):>5} {byte_count(each.private):>8} "
                f"{byte_count(each.shared):>8} {each.runs or '·'}"
            )
            if each.errors:
                line += f"  {each.errors} failed ✕"
            lines.append(line[:80].rstrip())
            if each.last_line:
                lines.append(f"    {each.last_line}"[:80])
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self.picture()._repr_mimebundle_()

    def picture(self) -> Picture:
        """The same, drawn."""
        drawing = Drawing()
        drawing.headline(self.title, self.note)
        for x, label in (
            (16, "process"),
            (RUNS_LEFT, "runs"),
            (CPU_LEFT, "CPU"),
            (MEMORY_LEFT, "memory"),
        ):
            drawing.text(x, 66, label, "s")
        drawing.text(MEMORY_LEFT + 50, 66, "blue its own, green of the store", "s")
        most = max((each.private + each.shared for each in self.processes), default=0) or 1
        y = 74.0
        for each in self.processes[:MOST_WORKERS]:
            _draw(drawing, each, y, most)
            y += 24
        if len(self.processes) > MOST_WORKERS:
            more = len(self.processes) - MOST_WORKERS
            drawing.text(16, y + 14, f"+ {more:,} more, not drawn", "s")
            y += 24
        drawing.height = y + 8
        head = ("process", "pid", "runs", "CPU %", "memory", "shared", "failed", "last line")
        rows = [
            (
                *(each.name, str(each.pid), each.runs, _percent(each)),
                *(byte_count(each.private), byte_count(each.shared)),
                *(str(each.errors), each.last_line),
            )
            for each in self.processes[:200]
        ]
        svg = drawing.finish(self.title, self.note)
        return Picture(self.title, repr(self), svg, head, rows, drawing.id)


def state_of(facts: Facts, before: Facts | None = None) -> ClusterState:
    """What the cluster does, from what was asked.

    Args:
        facts: just asked.
        before: asked earlier, for the CPU use since then.
    """
    answers = [told.answer for told in facts.news if told.answer]
    rows = [TaskRow._make(row) for answer in answers for row in answer["rows"]]
    running = {row.worker: row for row in rows if row.state == "RUNNING"}
    errors = Counter(row.worker for row in rows if row.state == "FAILED")
    cpu = percent(before.use, facts.use, facts.at - before.at) if before else {}
    actors = {each["worker"]: each for each in facts.actors if each["state"] == "ALIVE"}
    lines = {pid: line for pid, line, *_ in facts.prints}
    found = []
    workers = 0
    for each in sorted(facts.workers, key=lambda each: (each["state"] == "actor", each["pid"])):
        address: Address = bytes.fromhex(each["worker_id"])
        actor = actors.get(address)
        if actor is None:
            workers += 1
        called = f"actor {shown_name(actor['name'] or actor['class_name'])}" if actor else ""
        row, use = running.get(address), facts.use.get(each["pid"], Use(0, 0, 0))
        found.append(
            Process(
                called or f"worker {workers}",
                each["pid"],
                shown(row.call or row.caller[1]) if row else "",
                cpu.get(each["pid"]),
                use.private,
                use.shared,
                errors[address],
                shown_name(lines.get(each["pid"], "")),
                _ref_text(actor["ref"]) if actor else "",
            )
        )
    total: Counter[str] = Counter()
    for node in facts.nodes:
        total.update(node["Resources"] if node["Alive"] else {})
    used: Counter[str] = Counter()
    for row in running.values():
        used.update({name: units / RESOURCE_UNIT for name, units in row.resources})
    for actor in actors.values():
        used.update({name: units / RESOURCE_UNIT for name, units in actor["resources"]})
    return ClusterState(
        tuple(found),
        {n: (used[n], there) for n, there in total.items() if not n.startswith("node:")},
        int(facts.store["used"]),
        int(facts.store["capacity"]),
        int(facts.store["spilled_bytes"]),
        tuple(shown_name(str(how)) for _address, _pid, how, *_ in facts.departed[-5:]),
        facts.at,
    )


def ask_facts(engine: Engine) -> Facts:
    """Asks the session in use."""
    asked = {what: engine.info(what) for what in ("workers", "actors", "store", "nodes")}
    pids = [each["pid"] for each in asked["workers"]]
    return Facts(
        time.monotonic(),
        **asked,
        departed=engine.info("departed"),
        prints=engine.info("prints") or (),
        news=engine.survey("news", ROWS, 1.0).told,
        use=use_of(pids),
    )


def cluster() -> Any:
    """Shows what the cluster does: live in a notebook, else as it is now.

    Returns:
        A :class:`ClusterState`; in a notebook with anywidget a view that is kept up to date until
        the session ends or its ``close()`` is called.  A button in each row profiles the process
        for 5 s, as :func:`attach` does, and another one ends an actor.

    Raises:
        SystemFailure: paralab is not running, see ``paralab.init``.
    """
    engine = current()
    if has_widgets():
        from paralab_profiling.live.cluster_view import ClusterView

        return ClusterView(engine)
    before = ask_facts(engine)
    Event().wait(LOOK_SECONDS)  # CPU use is a difference
    return state_of(ask_facts(engine), before)


def kill_actor(engine: Engine, ref: str) -> None:
    """Ends the actor that :class:`Process` names so.

    Raises:
        ValueError: it is no name of an actor.
    """
    owner, _, key = ref.partition(".")
    engine.kill(engine.restore_ref(bytes.fromhex(owner), int(key, 16)), True)


def _ref_text(ref: tuple[Address, int]) -> str:
    return f"{ref[0].hex()}.{ref[1]:x}"


def _percent(process: Process) -> str:
    return "–" if process.cpu_percent is None else f"{process.cpu_percent:.0f}"


def _draw(drawing: Drawing, each: Process, y: float, most: int) -> None:
    drawing.text(16, y + 14, shown_name(each.name, 17), "m")
    runs = f"{each.errors} failed ✕ {each.runs}" if each.errors else each.runs
    drawing.text(RUNS_LEFT, y + 14, shown_name(runs or "idle", 24), "m" if each.runs else "s")
    drawing.box(CPU_LEFT, y, CPU_WIDTH, 20, IDLE)
    if each.cpu_percent is not None:
        width = CPU_WIDTH * min(1.0, each.cpu_percent / 100)
        drawing.box(CPU_LEFT, y, width, 20, RUN.colour, tip=f"{_percent(each)} % of one CPU")
    said = "unknown" if each.cpu_percent is None else f"{_percent(each)} %"
    drawing.text(CPU_LEFT + CPU_WIDTH + 6, y + 14, said, "s")
    x = MEMORY_LEFT
    for size, hue, what in ((each.private, RUN, "its own"), (each.shared, STORE, "of the store")):
        if size:
            width = MEMORY_WIDTH * size / most
            drawing.box(x, y, width, 20, hue.colour, tip=f"{byte_count(size)} {what}")
            x += width
    drawing.text(
        MEMORY_LEFT + MEMORY_WIDTH + 6, y + 14, byte_count(each.private + each.shared), "s"
    )
    if each.errors:
        drawing.box(8, y + 2, 4, 16, FAILURE)
