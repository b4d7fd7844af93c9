"""Bytes that go back and forth: with functions, with arguments, with results, to the disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median

from paralab_profiling.details import byte_count
from paralab_profiling.explain.finding import Facts, Finding, called, name_in_code, some
from paralab_profiling.recording import Task
from paralab_profiling.svg import duration

LARGE = 1_000_000
"""Bytes of a definition, or of a result, from which it is worth a sentence."""
TIMES = 4
"""The same value, or a large result, so often."""
RESULTS = 10_000_000
"""Bytes of all results of a function that were fetched."""


def large_closure(facts: Facts) -> Iterator[Finding]:
    """A function that takes a large value from around it is sent with it to every worker."""
    for name, definition in facts.recording.definitions.items():
        if definition.bytes < LARGE:
            continue
        tasks = [task for task in facts.ran if task.name in (name, f"{name}.__init__")]
        if not tasks:
            continue
        first = list({task.worker: task for task in reversed(_by_start(tasks))}.values())
        # Each worker loads it before its first call; what later calls take is not its fault.
        usual = _usual(tasks, first)
        longest = max(max(0.0, _moving(task) - usual) for task in first)
        what = definition.capture or "data"
        given = name_in_code(what)
        f = name_in_code(name)
        yield Finding(
            kind="large closures",
            finding=f"{called(name)} carries {byte_count(definition.bytes)} with it to each worker",
            evidence=(
                f"Its definition was sent to {len(first)}"
                f" {'processes' if len(first) > 1 else 'process'}, and the first call there waited"
                f" up to {duration(longest / 1e9)} longer for it than later ones."
                + (f" Most of it is the variable {called(what)}." if definition.capture else "")
            ),
            remedy="Put the value into the store once, and give the ref as an argument:",
            code=(
                f"{given}_ref = paralab.put({given})\n\n@paralab.remote\n"
                f"def {f}({given}, item): ...\n\n{f}.remote({given}_ref, item)"
            ),
            gain_ns=longest,
            wall_ns=facts.wall_ns,
            rests_on=(
                "a worker reads the value from shared memory at no cost (the time to pickle it,"
                " before the first call, comes on top)"
            ),
            tasks=some(first),
            is_always_said=True,
        )


def same_argument(facts: Facts) -> Iterator[Finding]:
    """One large value, given to many calls by value, is pickled and stored for each of them."""
    by_value: dict[tuple[str, str], list[Task]] = defaultdict(list)
    for task in facts.ran:
        if task.large:
            by_value[task.large, task.name].append(task)
    for (large, name), tasks in by_value.items():
        if len(tasks) < TIMES:
            continue
        size = int(large.partition("-")[0])
        # All but one of the copies, made by the caller one after the other.
        cost = median(task.part_ns("pickle") + task.part_ns("submit") for task in tasks)
        gain = cost * (len(tasks) - 1)
        f = name_in_code(name)
        yield Finding(
            kind="the same large argument",
            finding=(
                f"{len(tasks)} calls of {called(name)} were given the same {byte_count(size)} by"
                " value"
            ),
            evidence=(
                f"Each .remote() pickled it and copied it into the store, in"
                f" {duration(cost / 1e9)}: {byte_count(size * len(tasks))} in all."
            ),
            remedy="Put it into the store once, and give the ref to each call:",
            code=f"data_ref = paralab.put(data)\nrefs = [{f}.remote(data_ref, i) for i in items]",
            gain_ns=gain,
            wall_ns=facts.wall_ns,
            rests_on="the workers had to wait for the caller meanwhile",
            tasks=some(tasks),
            is_always_said=True,
        )


def big_results(facts: Facts) -> Iterator[Finding]:
    """Large results that the driver fetches: they are stored, and read, one by one."""
    drivers = {n for n, each in facts.recording.processes.items() if each.startswith("driver")}
    for name, calls in facts.by_name.items():
        tasks = [
            task
            for task in calls
            if "fetched" in task.stamps and task.bytes_out >= LARGE and task.owner in drivers
        ]
        total = sum(task.bytes_out for task in tasks)
        if len(tasks) < TIMES or total < RESULTS:
            continue
        stored = sum(task.part_ns("store") for task in tasks)
        ran = sum(facts.own_ns[task.id] for task in tasks)
        f = name_in_code(name)
        yield Finding(
            kind="big results that are fetched",
            finding=f"get() brought {byte_count(total)} of results of {called(name)} to the driver",
            evidence=(
                f"{len(tasks)} results of {byte_count(total / len(tasks))} took"
                f" {duration(stored / 1e9)} to store, {duration(ran / 1e9)} to compute."
            ),
            remedy="Reduce where the data are: return the small answer, or pass the refs on:",
            code=(
                "@paralab.remote\ndef combine(*parts): ...  # returns what you need of them\n\n"
                f"refs = [{f}.remote(item) for item in items]\n"
                "answer = paralab.get(combine.remote(*refs))"
            ),
            gain_ns=stored / min(facts.workers, len(tasks)),
            wall_ns=facts.wall_ns,
            rests_on="your program needs less than all of these bytes in the driver",
            tasks=some(tasks),
            is_always_said=True,
        )


def spilling(facts: Facts) -> Iterator[Finding]:
    """More objects than the store holds: the oldest went to the disk, and some came back."""
    store = facts.recording.store
    spilled, restored = store.get("spilled", 0), store.get("restored", 0)
    if not spilled:
        return
    capacity = store.get("capacity", 0)
    puts = sum(put.end - put.start for put in facts.recording.puts)
    moved = puts + sum(task.part_ns("store") + _moving(task) for task in facts.ran)
    largest = sorted(facts.ran, key=lambda task: -task.bytes_out)
    yield Finding(
        kind="spilling",
        finding=f"{byte_count(spilled)} did not fit into the object store and went to the disk",
        evidence=(
            f"The store has {byte_count(capacity)}; {byte_count(restored)} were read back"
            " (figures of the whole session)."
        ),
        remedy=(
            "Let go of refs that you no longer need, handle the data in pieces, or give the store"
            " more memory:"
        ),
        code=f"del refs  # or\nparalab.init(object_store_memory={_rounded(capacity + spilled)})",
        gain_ns=None,
        wall_ns=facts.wall_ns,
        rests_on=(
            f"all puts, stores and loads took {duration(moved / 1e9)} of the processes' time, and"
            " how much of it is the disk's was not measured"
        ),
        tasks=some(largest, 5),
        is_always_said=True,
    )


def _rounded(size: int) -> str:
    """``size`` in whole MiB, as code."""
    return f"{(size + (1 << 20) - 1) >> 20} << 20"


def _by_start(tasks: Sequence[Task]) -> list[Task]:
    return sorted(tasks, key=lambda task: task.stamps["taken"])


def _moving(task: Task) -> int:
    """Time until a worker had function and inputs, without its queue's wait."""
    return task.stamps["received"] - task.stamps["sent"] + task.part_ns("unpickle")


def _usual(tasks: Sequence[Task], first: Sequence[Task]) -> float:
    """What moving takes where the definition is known already; 0 if it never was."""
    ids = {task.id for task in first}
    return median([_moving(task) for task in tasks if task.id not in ids] or [0])
