"""Writes the table of expected figures into notebooks/INSTRUCTORS.md.

    python .ci/expected_figures.py             all notebooks, once each
    python .ci/expected_figures.py --runs 3    the middle of three runs of each
    python .ci/expected_figures.py 06 16       only these; the other rows stay

Each notebook runs from top to bottom.  Before its last cell, which ends the session, the
expressions of its ``EXPERIMENTS`` are evaluated in it, so a row is made of what the notebook itself
has recorded or counted.  On how many cores a recording would take how long, the what-if replay
says: its workers are cores of their own.  A figure is work ÷ time: how many times sooner than all
of the tasks one after the other, without overhead.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from paralab_profiling import Recording, stamp, take, what_if
from paralab_profiling.details import byte_count
from paralab_profiling.svg import duration, three_digits

HERE = Path(__file__).parent
NOTEBOOKS = HERE.parent / "notebooks"
NOTES = NOTEBOOKS / "INSTRUCTORS.md"
BEGIN, END = "<!-- expected figures: begin -->", "<!-- expected figures: end -->"
HEAD = "| notebook | what | measured, 2 workers | 2 cores | 4 cores | 8 cores | how |"
CORES = (2, 4, 8)
SAME = ("the same",) * len(CORES)
NOT_YET = "not run yet"
UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3}

EXPERIMENTS: dict[str, str] = {
    "00": """
        figures.measured('two loops in two threads: time ÷ time in a row', ratios[loop]),
        figures.counted('visits in the notebook after four tasks', visits),
    """,
    "01": """
        figures.replayed('12 batches, get in the loop', loop),
        figures.replayed('12 batches, submit all', min(remote, key=lambda run: run.seconds)),
    """,
    "02": """
        figures.replayed('load, clean and join two files', joined),
        figures.counted('longest chain, tasks', count.depth(joined.recording)),
    """,
    "03": """
        figures.shaped('7 additions of 60 ms as a chain', slow.chain),
        figures.shaped('7 additions of 60 ms as a tree', slow.tree),
        figures.shaped('7 cheap additions as a tree', cheap.tree),
        figures.counted('longest chain for 8 values: chain; tree',
            f'{slow.chain.depth}; {slow.tree.depth}'),
    """,
    "04": """
        figures.counted('sent: by value; put once',
            '; '.join(figures.size(count.bytes_sent(run.recording))
            for run in (by_value, put_once))),
        figures.counted('sent: get after each; references only',
            '; '.join(figures.size(count.bytes_sent(run.recording))
            for run in (fetched, passed_on))),
    """,
    "05": """
        figures.counted('calls at a time: one actor; two', f'{one.at_once}; {two.at_once}'),
        figures.measured('evenings with a ticket sold twice',
            f'{sum(left > 70 for left in evenings)} of 10'),
    """,
    "06": """
        figures.modelled('16 calls of fib(6), against a loop', measured.sizes[0]),
        figures.modelled('16 calls of fib(18), against a loop', measured.sizes[2]),
        figures.modelled('16 calls of fib(25), against a loop', measured.sizes[3]),
        figures.break_even('a task pays from this length on', measured.sizes[3]),
        figures.counted('tasks that wait at once, a quarter of a CPU each', waiting.at_once),
    """,
    "07": """
        figures.modelled('8 blocks of 20,000 darts, against a loop', gain.sizes[-1]),
        figures.measured('time under cProfile ÷ without', fee),
        figures.counted('darts that stay after six calls', f'{kept[-1]:,}'),
        figures.counted('error with 100 darts ÷ with 400', f'{errors[100] / errors[400]:.2f}'),
    """,
    "08": """
        figures.replayed('report, blocked is a list', slow),
        figures.replayed('report, blocked is a set', fast),
        figures.counted('calls of is_blocked that cProfile sees in the notebook',
            f"{calls.get('is_blocked', 0)} of {lines:,}"),
    """,
    "09": """
        figures.replayed('24 pages, window of 1', runs[1]),
        figures.replayed('24 pages, window of 2', runs[2]),
        figures.replayed('24 pages, window of 8', runs[8]),
        figures.counted('most in the store: all at once', f'{most} MB'),
        figures.measured('most in the store: window of 4', f'{peaks[4]} MB'),
    """,
    "10": """
        figures.chunked('400 files, chunks of 1', items, price, 1, measured[1]),
        figures.chunked('400 files, chunks of 16', items, price, 16, measured[16]),
        figures.chunked('400 files, chunks of 200', items, price, 200, measured[200]),
        figures.counted('calls with chunks of 8; 200',
            f'{chunks_sent(eights.recording)}; {chunks_sent(halves.recording)}'),
    """,
    "11": """
        figures.measured('300 fits with n_jobs=2, X in the store', figures.gain_of(stored)),
        figures.counted('arrays in the store: X in each task; X in the store',
            '; '.join(str(count.puts(run.recording)) for run in (searched, stored))),
        figures.counted('threads that want a core: 1 each; 4 each', f'{2 * in_one}; {2 * in_four}'),
    """,
    "12": """
        figures.counted('items of the slow station, of 12 in turn', slow),
        figures.measured('items of the slow station, as they come', f'{fewer} of 12'),
    """,
    "13": """
        figures.replayed('30 tasks that read anew', by_tasks),
        figures.counted('files read: by tasks; by actors', f'{read_files}; {read_once}'),
    """,
    "14": """
        figures.counted('in the mailbox, two callers', ', '.join(order)),
        figures.counted('new helpers for six orders', replaced),
    """,
    "15": """
        figures.counted('in the till after one payment of 10', in_till),
        figures.counted('runs of load; scale, after a loss', f"{runs['load']}; {runs['scale']}"),
    """,
    "16": """
        figures.replayed('14 pages, page by page', one_by_one),
        figures.replayed('14 pages, tree of tasks', tree),
        figures.replayed('12 modules, added up here', here),
        figures.replayed('12 modules, map-reduce', reduced),
        figures.replayed('24 photos, all at once', flood),
        figures.replayed('24 photos, 4 under way', window),
        figures.counted('steps: one form at a time; pipeline',
            f'{steps(single.recording)}; {steps(piped.recording)}'),
        figures.counted('steps: in turn; overlapped',
            f'{steps(turns.recording)}; {steps(overlap.recording)}'),
        figures.counted('steps computed: never saved; each third',
            f'{steps_done(unsaved.recording)}; {steps_done(checkpointed.recording)}'),
    """,
    "17": """
        figures.replayed('6 pages, get in the loop', runs[0]),
        figures.replayed('6 pages, as they come', runs[2]),
        figures.replayed('400 numbers, 400 tasks', priced[1]),
        figures.replayed('400 numbers, 4 tasks', priced[2]),
        figures.replayed('8 parts as 8 tasks', shared),
        figures.counted('sent with the function: closure; put once',
            '; '.join(figures.size(largest_definition(run.recording))
            for run in (moved[0], moved[2]))),
        figures.counted('errors: global variable; results', f'{errors}; {found}'),
    """,
    "18": """
        figures.measured('1,000 models, a worker for each district', figures.gain_of(division)),
        figures.replayed('1,000 models, one pool', pool),
        figures.counted('tasks at once with a quarter of a GPU', most),
        figures.counted('free CPUs while a second group waits', int(free)),
    """,
    "19": """
        figures.counted('questions under way: loop; threads; tasks',
            '; '.join(str(by_tool[tool].at_once) for tool in ('loop', 'threads', 'tasks'))),
        figures.measured('16 texts by threads, against the loop', gain),
        figures.replayed('16 texts by tasks', figures.last_tasks('search', 16)),
        figures.counted('apples left: loop; tasks', f"{left['loop']}; {left['tasks']}"),
    """,
}
"""By number: rows, evaluated in the notebook's namespace, where this module is ``figures``."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: the experiment.
        seen: what this run of the notebook gave, on its two workers.
        expected: on each of ``CORES``.
        how: "replayed", "computed", "counted", "measured" or ``NOT_YET``; of how many runs it is
            the middle one, if there were several.
    """

    what: str
    seen: str
    expected: Sequence[str]
    how: str

    def line(self, notebook: str) -> str:
        """As it stands in the table."""
        return f"| {' | '.join([notebook, self.what, self.seen, *self.expected, self.how])} |"


def times(factor: float) -> str:
    return f"{three_digits(factor)} ×"


def size(count: int) -> str:
    """Bytes; a few of them depend on how long numbers and names are."""
    return "under 1 kB" if count < 1000 else byte_count(count)


def replayed(what: str, run: Any) -> Row:
    """A run, or a recording, on other numbers of workers."""
    found = what_if(getattr(run, "recording", run), CORES)
    expected = [times(found.gains[at]) for at in CORES]
    return Row(what, times(found.work / found.measured), expected, "replayed")


def modelled(what: str, size: Any) -> Row:
    """A size of ``speedup``: here the loop in the notebook is what it is held against."""
    gains = size.gains()
    return Row(what, times(size.best.gain.middle), [times(gains[at]) for at in CORES], "replayed")


def shaped(what: str, way: Any) -> Row:
    """A shape of ``aggregate``."""
    work = way.call * len(way.calls)
    expected = [times(work / way.replayed[at]) for at in CORES]
    return Row(what, times(work / way.middle), expected, "replayed")


def break_even(what: str, size: Any) -> Row:
    """From the measured price of a task."""
    lengths = [size.model.break_even(at) for at in CORES]
    return Row(what, "–", ["never" if at is None else duration(at) for at in lengths], "computed")


def chunked(what: str, items: Sequence[float], price: float, size: int, seconds: float) -> Row:
    """A pool, whose processes are not workers: a chunk goes to whoever is free first."""
    expected = []
    for cores in CORES:
        free = [0.0] * cores
        for at in range(0, len(items), size):
            first = free.index(min(free))
            free[first] += price + sum(items[at : at + size])
        expected.append(times(sum(items) / max(free)))
    return Row(what, times(sum(items) / seconds), expected, "computed")


def counted(what: str, figure: object) -> Row:
    """A count, which no number of cores changes."""
    return Row(what, str(figure), SAME, "counted")


def measured(what: str, figure: float | str) -> Row:
    """Something else that more cores do not change, but that differs from run to run."""
    return Row(what, figure if isinstance(figure, str) else times(figure), SAME, "measured")


def gain_of(run: Any) -> float:
    """Work ÷ time of a run that the replay cannot repeat.

    It knows no resources but CPUs, nor that joblib sends a batch when another is done.
    """
    found = what_if(run.recording, ())
    return found.work / found.measured


def middle(runs: Sequence[Sequence[Row]]) -> list[Row]:
    """Of each row the run in the middle, as one that something disturbed tells little.

    Raises:
        ValueError: what is said to be a count differs between the runs.
    """
    found = []
    for rows in zip(*runs, strict=True):
        row = sorted(rows, key=_rank)[len(rows) // 2]
        if row.how == "counted":
            if len({each.seen for each in rows}) > 1:
                raise ValueError(f"no count: {row.what} is {[each.seen for each in rows]}")
        elif len(rows) > 1:
            row = replace(row, how=f"{row.how}, {len(rows)} runs")
        found.append(row)
    return found


def _rank(row: Row) -> float:
    """The figure by which runs are put in order: on the most cores, or what was seen."""
    text = row.seen if row.expected[-1] == SAME[-1] else row.expected[-1]
    number = re.match(r"([\d,.]+) ?(\S*)", text)
    if number is None:
        return math.inf  # "never"
    return float(number[1].replace(",", "")) * UNITS.get(number[2], 1.0)


def last_tasks(name: str, number: int) -> Recording:
    """The last tasks of a function in this session."""
    everything = take()
    tasks = [task for task in everything if task.name == name and task.kind == "task"][-number:]
    if len(tasks) < number:
        raise ValueError(f"{name} has run as a task {len(tasks)} times, not {number}")
    end = max(task.stamps["returned"] for task in tasks)  # so that the wait for them is in it
    return everything.between(tasks[0].stamps["submitted"], end)


def run(path: Path) -> list[Row]:
    """The rows of a notebook, which runs from top to bottom."""
    import nbclient
    import nbformat

    notebook = nbformat.read(path, 4)
    expressions = EXPERIMENTS[path.stem[:2]]
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "rows.json")
        source = (
            f"import json, sys\nfrom pathlib import Path\nsys.path.insert(0, {str(HERE)!r})\n"
            f"import expected_figures as figures\n"
            f"figures.keep({str(kept)!r}, [{expressions}])\n"
        )
        notebook.cells.insert(-1, nbformat.v4.new_code_cell(source))
        nbclient.NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
        ).execute()
        return [Row(**row) for row in json.loads(kept.read_text(encoding="utf-8"))]


def keep(path: str, rows: list[Row]) -> None:
    """Hands rows over to the process that runs the notebook."""
    Path(path).write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")


def block_of(text: str) -> str:
    """What stands between the markers."""
    return text.partition(BEGIN)[2].partition(END)[0]


def lines_of(block: str) -> dict[str, list[str]]:
    """The lines of a table by the numbers of their notebooks."""
    found: dict[str, list[str]] = {}
    for line in re.findall(r"(?m)^\| \d\d \|.*\|$", block):
        found.setdefault(line[2:4], []).append(line)
    return found


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description="Writes notebooks/INSTRUCTORS.md's table.")
    parser.add_argument("notebooks", nargs="*", help="their numbers; by default all")
    parser.add_argument("--runs", type=int, default=1, help="how often each runs; at least 1")
    given = parser.parse_args(arguments)
    if given.runs < 1:
        parser.error(f"--runs must be 1 or more, not {given.runs}")
    wanted = given.notebooks
    text = NOTES.read_text(encoding="utf-8")
    paths = {path.stem[:2]: path for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))}
    unknown = sorted(set(wanted) - paths.keys())
    if unknown:
        raise SystemExit(f"There is no notebook {', '.join(unknown)}.")
    where = f"Made on {stamp()}."
    lines = lines_of(block_of(text)) if wanted else {}
    if lines and where not in block_of(text):
        raise SystemExit("The other rows were made on something else: run all, without numbers.")
    for number in wanted or paths:
        if number in EXPERIMENTS:
            rows = middle([run(paths[number]) for _ in range(given.runs)])
            lines[number] = [row.line(number) for row in rows]
            print(*lines[number], sep="\n", flush=True)
            write(where, lines)  # at once: a later notebook may fail


def write(where: str, lines: dict[str, list[str]]) -> None:
    """Puts the table between the markers of the notes."""
    nothing = Row("its main experiment", "–", ["–"] * len(CORES), NOT_YET)
    numbers = sorted(lines.keys() | EXPERIMENTS.keys())
    rows = [line for each in numbers for line in lines.get(each, [nothing.line(each)])]
    table = [where, "", HEAD, "|" + "---|" * HEAD.count("|", 1), *rows]
    before, _, rest = NOTES.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    NOTES.write_text(before + "\n".join([BEGIN, "", *table, "", END]) + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
