"""A finding, what all diagnoses look at, and how findings are shown."""

from __future__ import annotations

import secrets
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from keyword import iskeyword
from pathlib import Path
from textwrap import fill
from typing import Any

from paralab.shown_text import shown_name, shown_text
from paralab_profiling.breakdown.parts import WorkerTime, worker_time
from paralab_profiling.paths import own_ns
from paralab_profiling.picture import as_script
from paralab_profiling.recording import Recording, Task
from paralab_profiling.svg import duration, escape, percent

_SELECT = """(place, run) => {
  for (const item of place?.querySelectorAll("[data-tasks]") ?? []) {
    const task = item.dataset.tasks.split(" ")[0];
    if (!task) continue;
    const button = document.createElement("button");
    button.textContent = "show " + task + " in the pictures";
    button.onclick = () => {
      (window.paralabChosen ??= {})[run] = task;
      document.dispatchEvent(new CustomEvent("paralab-select", { detail: { run, task } }));
    };
    item.append(document.createElement("br"), button);
  }
}"""
"""Selects as ``interact.js`` does, which hears it."""
WIDTH = 80
LONGEST = 60
"""Characters of a name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that costs time.

    Attributes:
        kind: which diagnosis it is of, such as "too fine tasks".
        finding: what is so, one sentence.
        evidence: the figures that it rests on.
        remedy: what to do, in a sentence.
        code: what to write, Python.
        gain_ns: by how much the run would be shorter, predicted; None if that cannot be told.
        wall_ns: of the run.
        rests_on: what the prediction takes for granted, or why there is none.
        tasks: ids of the tasks where it shows, some of them.
        is_always_said: it costs more than time, such as memory, so a small gain does not hide it.
    """

    kind: str
    finding: str
    evidence: str
    remedy: str
    code: str
    gain_ns: float | None
    wall_ns: float
    rests_on: str
    tasks: tuple[str, ...] = ()
    is_always_said: bool = False

    @property
    def share(self) -> float:
        """Of the run's time that the remedy would save, 0 to 1."""
        return (self.gain_ns or 0.0) / self.wall_ns if self.wall_ns else 0.0

    @property
    def gain(self) -> str:
        """The predicted gain in words."""
        if self.gain_ns is None:
            return f"Not to be predicted: {self.rests_on}."
        time, share = duration(self.gain_ns / 1e9), percent(self.share)
        return f"About {time} of {duration(self.wall_ns / 1e9)} ({share}), if {self.rests_on}."


@dataclass(frozen=True, slots=True)
class Explanation:
    """What stands out in a run, most costly first.

    Attributes:
        findings: at most three.
        more: how many further ones were left out.
        tasks: how many had ended.
        wall_ns: of the run.
        run: what the pictures of the run are selected together by, "" if there are none.
        id: unique among all that is shown on a page.
    """

    findings: tuple[Finding, ...]
    more: int
    tasks: int
    wall_ns: int
    run: str = ""
    id: str = field(default_factory=lambda: f"pl{secrets.token_hex(4)}", compare=False)

    @property
    def title(self) -> str:
        """The finding that costs most."""
        if not self.tasks:
            return "No task has ended yet"
        return self.findings[0].finding if self.findings else "Nothing stands out"

    @property
    def text(self) -> str:
        """All of it for a terminal, at most 80 columns."""
        lines = [self.note]
        for number, each in enumerate(self.findings, 1):
            lines += ["", *_filled(each.finding, f"{number}. ")]
            lines += _filled(each.evidence, "   ")
            lines += _filled(each.remedy, "   → ")
            lines += [f"       {line}".rstrip() for line in shown_text(each.code).splitlines()]
            lines += _filled(f"Gain: {each.gain}", "   ")
        if not self.findings:
            lines += ["", f"{self.title}."]
        return "\n".join(lines)

    @property
    def note(self) -> str:
        """What was looked at."""
        words = "finding is" if self.more == 1 else "findings are"
        more = f"; {self.more} smaller {words} left out" if self.more else ""
        return f"{self.tasks:,} tasks in {duration(self.wall_ns / 1e9)}{more}"

    def __repr__(self) -> str:
        return self.text

    def to_html(self) -> str:
        """All of it as HTML that stands by itself.

        Where scripts may run, a button selects a task of a finding in all pictures of the run.
        """
        items = "".join(_item(each) for each in self.findings)
        body = f"<ol>{items}</ol>" if items else f"<p><b>{escape(self.title)}.</b></p>"
        script = ""
        if self.run and any(each.tasks for each in self.findings):
            place = f"document.getElementById({as_script(self.id)})"
            script = f"<script>({_SELECT})({place},{as_script(self.run)})</script>"
        head = f'<div id="{self.id}" class="pl-explain" style="max-width:760px">'
        return f"{head}<p>{self.note}</p>{body}{script}</div>"

    def save(self, path: str | Path) -> Path:
        """Writes the HTML to the file ``path`` and returns it.

        Raises:
            OSError: the file cannot be written.
        """
        path = Path(path)
        path.write_text(self.to_html(), encoding="utf-8")
        return path

    def to_dict(self) -> dict[str, Any]:
        """The findings as plain data."""
        return {
            "title": self.title,
            "tasks": self.tasks,
            "seconds": self.wall_ns / 1e9,
            "more": self.more,
            "findings": [
                {
                    "kind": each.kind,
                    "finding": each.finding,
                    "evidence": each.evidence,
                    "remedy": each.remedy,
                    "code": each.code,
                    "gain_seconds": None if each.gain_ns is None else each.gain_ns / 1e9,
                    "share": each.share,
                    "rests_on": each.rests_on,
                    "tasks": list(each.tasks),
                }
                for each in self.findings
            ],
        }

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text, "text/html": self.to_html()}


def _filled(text: str, first: str) -> list[str]:
    lines = fill(shown_text(text), WIDTH, initial_indent=first, subsequent_indent=" " * len(first))
    return lines.splitlines()


def _item(each: Finding) -> str:
    where = escape(" ".join(each.tasks))
    return (
        f'<li data-tasks="{where}"><b>{escape(each.finding)}</b><br>{escape(each.evidence)}<br>'
        f"{escape(each.remedy)}<pre>{escape(each.code)}</pre>Gain: {escape(each.gain)}</li>"
    )


class Facts:
    """A recording, and what several diagnoses compute of it."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.workers = recording.workers
        begin, end = recording.span_ns
        self.wall_ns = end - begin

    @cached_property
    def ran(self) -> list[Task]:
        """The tasks that ran to their end, constructors too."""
        return [task for task in self.recording if task.ran]

    @cached_property
    def by_name(self) -> dict[str, list[Task]]:
        """The same without actors, by function."""
        found: dict[str, list[Task]] = defaultdict(list)
        for task in self.ran:
            if task.kind == "task":
                found[task.name].append(task)
        return dict(found)

    @cached_property
    def own_ns(self) -> dict[str, int]:
        """Each task's time without its waits for others."""
        return own_ns(self.recording)

    @cached_property
    def spent(self) -> WorkerTime:
        """What the workers' time went to."""
        return worker_time(self.recording)


def name_in_code(name: str) -> str:
    """A function's or a variable's name as code may have it; "f" for one that is no name."""
    last = name.rpartition(".")[2]
    is_name = last.isidentifier() and not iskeyword(last) and len(last) <= LONGEST
    return last if is_name else "f"


def called(name: str) -> str:
    """A name in a sentence."""
    return shown_name(name, LONGEST)


def some(tasks: list[Task], most: int = 20) -> tuple[str, ...]:
    """Ids of the first ones."""
    return tuple(task.id for task in tasks[:most])
