"""S7: fifty texts that would like to be more than text, wherever text of users is shown."""

from __future__ import annotations

import contextlib
import io
import json
import time
import traceback
import unicodedata
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from hostile import PAYLOADS, acts, markup_of, name_of
from intruders import lone_node

import paralab
from paralab.cli import main
from paralab.exceptions import TaskError
from paralab.local_mode.engine import LocalEngine
from paralab.process.door import knock
from paralab.process.prints import PrintedLines
from paralab.shown_text import LONGEST_NAME
from paralab.util import metrics, state
from paralab_profiling.runs import Run, Slice, run_of
from paralab_profiling.taking import take
from paralab_profiling.timelines.compare import compare, verdict

each = pytest.mark.parametrize("payload", PAYLOADS, ids=name_of)
LONGEST_TEXT = 100_000
"""Characters of anything that is shown of a name with ten million."""


def as_name(text: str) -> None:
    """One line, and nothing that a terminal acts on."""
    assert acts(text) == []
    assert "\n" not in text
    text.encode()


def as_text(text: str) -> None:
    """Lines and colours stay, as they do in a traceback."""
    assert acts(text, colours=True) == []
    assert len(text) < LONGEST_TEXT
    text.encode()


def named(payload: str) -> Callable[..., Any]:
    """A function, its file and its exception have the payload for a name."""
    error = type(payload.replace("\0", "0").encode("utf-8", "replace").decode(), (ValueError,), {})
    source = "def f(error, text): raise error(text)"
    file = payload.replace("\0", "").encode("utf-8", "replace").decode()
    names: dict[str, Any] = {}
    exec(compile(source, file[:2_000], "exec"), names)
    function = names["f"]

    def task(text: str) -> Any:
        return function(error, text)

    task.__name__ = task.__qualname__ = payload
    return task


@pytest.fixture(scope="module", params=["processes", "local"])
def engine(request: pytest.FixtureRequest, leak_check: Any) -> Iterator[str]:
    with leak_check.postponed(request.node.nodeid):
        paralab.init(num_cpus=2, local_mode=request.param == "local", log_to_driver=False)
        yield request.param
        paralab.shutdown()


@each
def test_tasks(engine: str, payload: str) -> None:
    task = paralab.remote(named(payload))
    as_name(repr(task))
    with pytest.raises(TypeError) as called:
        task()
    as_text(str(called.value))
    with pytest.raises(TypeError) as unfit:
        task.remote(1, 2, **{payload[:1000] or "x": 3})
    as_text(str(unfit.value))
    with pytest.raises(TaskError) as caught:
        paralab.get(task.options(name=payload, max_retries=0).remote(payload))
    error = caught.value
    for text in (str(error), repr(error), error.traceback_str, type(error).__name__):
        as_text(text)
    assert payload[:100] in error.cause.args[0], "the exception itself is as it was raised"
    if engine == "processes":  # in one process, Python itself shows the frames of the function
        as_text("".join(traceback.format_exception(error)))


@each
def test_notes_causes_and_groups(engine: str, payload: str) -> None:
    text = payload[:3_000]

    @paralab.remote(max_retries=0)
    def fails() -> None:
        try:
            raise KeyError(text)
        except KeyError as first:
            error = ValueError(text)
            error.add_note(text)
            raise error from first

    @paralab.remote(max_retries=0)
    def fails_severally() -> None:
        raise ExceptionGroup(text, [ValueError(text), OSError(text)])

    with pytest.raises(TaskError) as caught:
        paralab.get(fails.remote())
    as_text(str(caught.value))
    if engine == "processes":
        as_text("".join(traceback.format_exception(caught.value)))
    with pytest.raises(TaskError) as group:
        paralab.get(fails_severally.remote())
    as_text(str(group.value))


@each
def test_actors(engine: str, payload: str) -> None:
    class Plain:
        def die(self) -> None:
            raise RuntimeError(payload[:3_000])

        def __repr__(self) -> str:
            return payload

    Plain.__name__ = Plain.__qualname__ = (
        payload.replace("\0", "0").encode("utf-8", "replace").decode()
    )
    actor_class = paralab.remote(Plain)
    as_name(repr(actor_class))
    given = {"name": payload, "namespace": payload}
    actor = actor_class.options(**given).remote()
    as_name(repr(actor))
    as_name(repr(actor.die))
    calls: tuple[Callable[[], Any], ...] = (lambda: actor_class(), lambda: actor.die())
    for wrong in calls:
        with pytest.raises(TypeError) as called:
            wrong()
        as_text(str(called.value))
    with pytest.raises(ValueError, match="already taken") as taken:
        actor_class.options(**given).remote()
    as_text(str(taken.value))
    with pytest.raises(ValueError, match="Failed to look up") as lost:
        paralab.get_actor(payload + "?")
    as_text(str(lost.value))
    with pytest.raises(TaskError) as failed:
        paralab.get(actor.die.remote())
    as_text(str(failed.value))
    assert paralab.get_actor(payload, payload) == actor, "it is found by the name that it was given"
    paralab.kill(actor)
    with pytest.raises(paralab.exceptions.ActorDiedError) as dead:
        paralab.get(actor.die.remote())
    as_text(str(dead.value))


@each
def test_options_resources_labels_and_variables(engine: str, payload: str) -> None:
    short = payload[:5_000]

    @paralab.remote
    def f(x: int = 0) -> None:
        pass

    for wrong in (
        lambda: f.options(**{short: 1}),
        lambda: f.options(num_cpus=short),
        lambda: f.options(resources={short: -1}),
        lambda: f.options(resources={short: short}),
        lambda: f.options(label_selector={short: "a"}),
        lambda: f.options(label_selector={"a": f"in({short}"}),
        lambda: f.options(runtime_env={short: 1}),
        lambda: f.options(runtime_env={"env_vars": {short: 1}}),
        lambda: f.options(runtime_env={"env_vars": {f"{short}=": "a"}}),
        lambda: f.options(runtime_env={"working_dir": short}),
        lambda: f.options(scheduling_strategy=short),
        lambda: paralab.init(address=f"unix:{short}"),
        lambda: paralab.util.get_placement_group(short),
        lambda: state.list_tasks(filters=[(short, "=", 1)]),
        lambda: state.get_actor(short, timeout=60),
        lambda: paralab.get(short),
    ):
        try:
            wrong()
        except Exception as error:
            as_text(str(error))
        else:
            pass  # some of these texts are good values


@each
def test_arguments_that_cannot_be_pickled(engine: str, payload: str) -> None:
    if engine == "local":
        pytest.skip("nothing is pickled")

    class Bad:
        def __reduce__(self) -> Any:
            raise TypeError(payload[:3_000])

    f = paralab.remote(lambda x: x)
    with pytest.raises(TypeError) as caught:
        f.remote({payload[:3_000]: Bad()})
    as_text(str(caught.value))
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        paralab.util.inspect_serializability(Bad(), name=payload[:3_000])
    as_text(said.getvalue())


def test_what_paralab_memory_shows(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import __main__
    from paralab.memory_summary import memory_summary

    ref = paralab.put(1)
    for number, payload in enumerate(PAYLOADS):
        monkeypatch.setitem(vars(__main__), f"v{number} {payload}", ref)
    text = memory_summary()
    assert acts(text) == []
    assert "held by: variable v0 " in text or "v0 " in text
    assert len(text) < LONGEST_TEXT * 2


def test_rows_traces_and_pages(engine: str, tmp_path: Any) -> None:
    for payload in PAYLOADS:
        f = paralab.remote(lambda: None).options(name=payload)
        paralab.get(f.remote())
    tasks = state.list_tasks(limit=10_000, detail=True)
    shown = {row.name for row in tasks}
    for payload in PAYLOADS[:10]:
        assert payload in shown, "markup is text, and stays what it is"
    for row in tasks:
        as_name(row.name)
        as_name(repr(row))
    as_text(repr(state.summarize_tasks()).replace(str(LONGEST_NAME), ""))
    if engine == "processes":
        path = tmp_path / "trace.json"
        paralab.timeline(str(path))
        text = path.read_text()
        assert json.loads(text)
        assert not {"Cc", "Cf", "Cs"} & set(map(unicodedata.category, text)), "nothing is hidden"
        assert acts(text) == []
        slices = run_of("all", take(), (0, time.monotonic_ns()), 2).slices
        assert len(slices) >= len(PAYLOADS)
        for each_slice in slices:
            as_name(each_slice.name)


@each
def test_pictures(payload: str) -> None:
    run = Run(payload, 0.1, 1, [Slice(payload[:100_000], 1, 0.0, 0.1)])
    pictures = [compare(run), verdict([run] * 3, [Run(payload, 0.05, 2, run.slices)] * 3)]
    honest = compare(Run("a", 0.1, 1, [Slice("a", 1, 0.0, 0.1)]))
    for picture in pictures:
        as_text(repr(picture))
        as_text(picture.title)
        tags, attributes, _text = markup_of(picture.to_html())
        assert (tags, attributes) == markup_of(honest.to_html())[:2]
        root = ET.fromstring(picture.svg)
        known = {node.tag for node in ET.fromstring(honest.svg).iter()}
        # From the sixth function on they have textures.
        known |= {f"{{http://www.w3.org/2000/svg}}{mark}" for mark in ("circle", "path", "pattern")}
        assert {node.tag for node in root.iter()} <= known
        assert not {a for node in root.iter() for a in node.attrib if a.startswith("on")}
        assert not acts("".join(root.itertext()))


@each
def test_prints(payload: str) -> None:
    files = {"stdout": io.StringIO(), "stderr": io.StringIO()}
    lines = PrintedLines(True, files.__getitem__)
    lines(payload, 7, "stdout", "what was printed\n")
    (line,) = files["stdout"].getvalue().splitlines()
    as_name(line)
    assert line.endswith(" pid=7) what was printed")
    lines("task", 7, "stderr", payload + "\n")
    printed = files["stderr"].getvalue()
    assert acts(printed, colours=True) == []
    assert all(line.startswith("(task pid=7) ") for line in printed.removesuffix("\n").split("\n"))


def test_the_command_line_and_the_log(scorecard: Any) -> None:
    facts = {"sys_path": [], "as_ray": False, "cwd": "/", "argv": [], "logging": {},
             "environment": None}  # fmt: skip
    short = [payload[:1_000] for payload in PAYLOADS]
    with lone_node() as folder, contextlib.ExitStack() as stack:
        for payload in short:
            stack.enter_context(knock(folder, "driver", namespace=payload, **facts))
            resources = {payload or "x": 10_000}
            adds = {"resources": resources, "labels": {}, "name": payload}
            stack.enter_context(knock(folder, "add_node", **adds)).recv(1_000)
        done = CliRunner().invoke(main, ["status", "--address", f"unix:{folder}"])
        assert done.exit_code == 0, done.output
        assert acts(done.output) == []
        jobs = [line for line in done.output.splitlines() if line.startswith("  job ")]
        assert len(jobs) == len(short), "no line was forged"
        assert len(done.output.splitlines()) < 2 * len(short) + 20
        done = CliRunner().invoke(main, ["status", "--json", "--address", f"unix:{folder}"])
        assert done.output.isascii()
        assert [job["namespace"] for job in json.loads(done.output)["jobs"]] == short
    scorecard.figure(
        "S7",
        f"{len(PAYLOADS)} texts at some 20 places: acted upon",
        0,
        "times",
        short=f"{len(PAYLOADS)} texts: {{}} acted upon",
    )


@each
def test_metrics_and_graphs(payload: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_series", {})  # without those of other tests of this process
    if len(payload) > 1_000_000:
        payload = payload[:10_000]
    engine = LocalEngine(num_cpus=1)
    counter = metrics.Counter("requests" + payload[:50], payload, ("k" + payload,))
    counter.inc(1.0, {"k" + payload: payload})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = metrics.prometheus_text()
    as_text(text)
    for line in text.splitlines():
        assert line.startswith(("# HELP requests", "# TYPE requests", "requests"))
    engine.shutdown()

    @paralab.remote
    def f(x: str, **more: str) -> None:
        pass

    as_text(str(f.options(name=payload).bind(payload, x2=payload)))
