"""What a recording tells besides tasks: large arguments, definitions, the store, threads."""

from __future__ import annotations

import importlib
import linecache
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab.sources import native_threads, shown_file, source_of
from paralab.util.state import list_tasks
from paralab_profiling import Recording, take, task_graph
from paralab_profiling.details import facts_of

pytestmark = pytest.mark.slow


def test_the_same_large_argument_is_told_from_others_of_its_size(runtime: Any) -> None:
    @paralab.remote
    def use(number: int, value: Any) -> int:
        return len(value)

    same = bytes(range(256)) * 800
    listed = list(range(100_000))
    others = [bytes([n]) * 204_800 for n in range(3)]
    refs = [use.remote(n, same) for n in range(3)]
    refs += [use.remote(n, other) for n, other in enumerate(others)]
    refs += [use.remote(n, listed) for n in range(3)]
    refs += [use.remote(0, b"small")]
    paralab.get(refs)
    large = [task.large for task in take()]
    assert len(set(large[:3])) == 1
    assert len(set(large[:6])) == 4, "three others of the same size"
    assert len(set(large[6:9])) == 1, "pickled in one stream with what differs"
    assert large[9] == ""


def test_what_is_sent_with_a_function(runtime: Any, tmp_path: Path) -> None:
    table = list(range(50_000))
    few = 3

    @paralab.remote
    def look(x: int) -> int:
        return table[x] + few

    @paralab.remote
    def plain(x: int) -> int:
        return x

    paralab.get([look.remote(1), plain.remote(1)])
    recording = take()
    assert recording.definitions["look"].capture == "table"
    assert recording.definitions["look"].bytes > 100_000
    assert recording.definitions["plain"].bytes < 10_000

    def again(x: int) -> int:
        return x + few

    again.__qualname__ = "look"
    redefined = paralab.remote(again)
    assert paralab.get([look.remote(1), redefined.remote(1)]) == [4, 4]
    assert take().definitions["look"].capture == "few", "the newest of that name"
    assert recording.store["capacity"] > 0
    assert recording.store["spilled"] == 0
    assert int(recording.facts["cores"]) >= 1
    assert set(recording.native_threads) >= {task.worker for task in recording}
    recording.save(tmp_path / "run.json")
    assert Recording.load(tmp_path / "run.json") == recording


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_native_threads_are_those_that_python_did_not_start() -> None:
    numeric = pytest.importorskip("paralab.platform").NumericThreads()
    numpy = pytest.importorskip("numpy")
    numeric.find()
    if not numeric.libraries:
        pytest.skip("no numeric library that can be told how many threads to use")
    numeric.set(4)
    try:
        square = numpy.ones((400, 400))
        assert float((square @ square)[0, 0]) == 400.0
        assert native_threads() >= 3
    finally:
        numeric.set(1)


def test_files_are_told_without_folders_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path.home()
    assert shown_file(str(home / "work" / "run.py")) == str(Path("~") / "work" / "run.py")
    cell = str(Path("some", "folder", "ipykernel_12345", "678.py"))
    assert shown_file(cell) == "a cell"
    assert shown_file("ipykernel_notes.py") == "ipykernel_notes.py"
    names = {cell: ("Cell", "In[7]")}
    shell = SimpleNamespace(compile=SimpleNamespace(format_code_name=names.get))
    known = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", known)
    assert shown_file(cell) == "In[7]"
    assert shown_file("run.py") == "run.py"


@pytest.mark.parametrize(
    "now", ["", "class Edited(:", "class Edited:\n  x = '''", "\0", "y = 1\n)"]
)
def test_a_file_that_is_being_edited_has_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: str
) -> None:
    file = tmp_path / "edited_while_it_ran.py"
    file.write_text(
        "class Edited:\n    x = 1\n\n\ndef edited():\n    return [\n        1,\n    ]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(file.stem)
    try:
        assert source_of(module.Edited) == (shown_file(str(file)), 1, "class Edited:\n    x = 1\n")
        file.write_text(now)
        linecache.checkcache()
        assert source_of(module.Edited) is None
        found = source_of(module.edited)
        assert found is None or "return" not in found[2]
    finally:
        del sys.modules[file.stem]


def test_a_method_called_by_an_actor_is_no_constructor(runtime: Any) -> None:
    @paralab.remote
    class Safe:
        def look(self) -> int:
            return 3

    @paralab.remote
    class Reader:
        def __init__(self, safe: Any) -> None:
            # Its number in this process is one more than the safe's in the driver.
            self.found = paralab.get(safe.look.remote())

        def read(self) -> Any:
            return self.found

    safe = Safe.remote()
    reader = Reader.remote(safe)
    assert paralab.get(reader.read.remote()) == 3
    kinds = {task.name.rpartition("<locals>.")[2]: task.kind for task in take()}
    assert kinds["Safe.__init__"] == kinds["Reader.__init__"] == "creation"
    types = {row.name.rpartition("<locals>.")[2]: row.type for row in list_tasks()}
    assert types["Safe.__init__"] == types["Reader.__init__"] == "ACTOR_CREATION_TASK"
    assert types["Safe.look"] == types["Reader.read"] == "ACTOR_TASK"
    assert kinds["Safe.look"] == kinds["Reader.read"] == "actor"


@pytest.mark.slow
def test_what_each_task_printed_last(runtime: Any, tmp_path: Path) -> None:
    @paralab.remote
    def says(name: str, count: int = 1) -> None:
        for number in range(count):
            sys.stdout.write(f"{name} \x1b[31m<b>{number}\x1b[0m\x07\n")

    @paralab.remote
    def nests() -> None:
        paralab.get(says.options(name="nested").remote("inner"))
        sys.stdout.write(f"outer {'x' * 300}\n")

    @paralab.remote
    class Speaker:
        async def speak(self, what: str) -> None:
            sys.stdout.write(f"{what}\n")

    speaker = Speaker.remote()
    calls = [says.remote("a", 5), says.options(name="other").remote("b"), nests.remote()]
    paralab.get([*calls, speaker.speak.remote("one"), speaker.speak.remote("two")])
    # What a task of a task prints takes another way than its result.
    recording = eventually(lambda: len((found := take()).prints) == 6 and found, 60.0)
    saying = {recording.by_id[task].name: lines for task, lines in recording.prints.items()}
    replaced = "\N{REPLACEMENT CHARACTER}"
    assert saying.pop("nests")[0].startswith("outer xxx")
    assert saying.pop("nested") == (f"inner <b>0{replaced}",)
    assert saying.pop("other") == (f"b <b>0{replaced}",)
    assert saying.pop("Speaker.speak") == ("two",)
    (lines,) = saying.values()
    assert lines == tuple(f"a <b>{number}{replaced}" for number in (2, 3, 4))
    (task,) = (each for each in recording if recording.prints.get(each.id) == lines)
    assert facts_of(task, recording)["printed last"] == "\n".join(lines)
    html = task_graph(recording).to_html()
    assert "a <b>" not in html
    recording.save(tmp_path / "run.json")
    assert Recording.load(tmp_path / "run.json").prints == recording.prints
