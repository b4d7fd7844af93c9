"""The magics, in an IPython shell of this process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import paralab
import paralab_profiling
from paralab.exceptions import ActorDiedError, TaskError
from paralab_profiling import Picture, Recording, take

pytest.importorskip("IPython", reason="the magics need IPython, which is not installed")
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

from paralab_profiling import magics

ROOT = Path(__file__).parents[2]


class Notebook:
    """Runs cells as a notebook does, and gives their values or raises their errors."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.outputs: list[Any] = []
        """What the last cell displayed besides its value."""
        self.text = ""

    def __call__(self, code: str) -> Any:
        with capture_output() as captured:
            result = self.shell.run_cell(code, store_history=True)
        self.count = result.execution_count
        self.text = re.sub(r"\x1b\[[0-9;]*m", "", captured.stdout + captured.stderr)
        self.outputs = [each.data for each in captured.outputs if each.data]
        result.raise_error()
        return result.result

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]

    def __contains__(self, name: str) -> bool:
        return name in self.shell.user_ns


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    config = Config()
    config.HistoryManager.enabled = False
    hook, main = sys.excepthook, sys.modules["__main__"]
    shell = InteractiveShell.instance(config=config)
    notebook = Notebook(shell)
    magics.load(shell)
    notebook("import paralab")
    yield notebook
    magics.unload(shell)
    shell.restore_sys_module_state()
    InteractiveShell.clear_instance()
    sys.excepthook, sys.modules["__main__"] = hook, main


@pytest.fixture
def running(notebook: Notebook, runtime: Any) -> Notebook:
    """With a session of two CPUs."""
    return notebook


# -- %remote ---------------------------------------------------------------------------------


def test_a_call_gives_a_ref(running: Notebook) -> None:
    running("k = 3\ndef f(x, *, y=0): return (x + y) * k\nxs = [1, 2]")
    ref = running("%remote f(xs[1], y=int('2'))")
    assert type(ref) is paralab.ObjectRef
    assert paralab.get(ref) == 12
    assert running("%remote --get f(**{'x': 1})") == 3
    assert running("%remote --get f(1);") is None
    running("a = %remote f(1)\nb = %remote -o c f(a)")
    assert paralab.get(running["b"]) == paralab.get(running["c"]) == 9
    assert running["b"] is running["c"]


def test_arguments_are_evaluated_in_the_notebook(running: Notebook) -> None:
    running("import os\ndef both(pid): return pid, os.getpid()")
    here, there = running("%remote --get both(os.getpid())")
    assert here == os.getpid() != there
    running("def inside(local):\n    ref = %remote both(local)\n    return paralab.get(ref)[0]")
    assert running("inside('local')") == "local"


def test_what_may_be_called(running: Notebook) -> None:
    running(
        "@paralab.remote\ndef g(x): return -x\n@paralab.remote\nclass A:\n    def m(self): return 7"
    )
    assert running("%remote --get g(2)") == -2
    assert running("%remote --get g.remote(2)") == -2
    running("a = %remote A()")
    assert running("%remote --get a.m()") == 7
    assert running("%remote --get sum([1, 2])") == 3
    assert running("%remote --get 'a b'.split()") == ["a", "b"]
    assert running("%remote --get list(range(2))") == [0, 1]
    assert running("%remote --local sum([1, 2])") == 3
    assert running("%remote --local g(3)") == -3


def test_options_of_a_call(running: Notebook) -> None:
    running("%remote --get --num-cpus 2 --name 'my sum' --memory 1MB sum([1, -1])")
    (task,) = take()
    assert task.name == "my sum"
    running("ref = %remote --num-cpus 3 sum([1])")
    assert paralab.wait([running["ref"]], timeout=0)[0] == [], "there are two CPUs only"
    running("ref = %remote --resources nowhere=1 sum([1])")
    assert paralab.wait([running["ref"]], timeout=0)[0] == []


@pytest.mark.parametrize(
    ("line", "error", "text"),
    [
        ("%remote 1 + 1", ValueError, "takes a call"),
        ("%remote", ValueError, "takes a call"),
        ("%remote f(", ValueError, "takes a call"),
        ("%remote nothing(1)", NameError, "nothing"),
        ("%remote (1)(2)", TypeError, "not callable"),
        ("%remote --nonsense f()", ValueError, "nonsense.*%remote. shows its options"),
        ("%remote --num-cpus many f()", ValueError, "invalid float"),
        ("%remote --memory 5XB f()", ValueError, "is no size such as 500MB"),
        ("%remote --resources a f()", ValueError, "is not like name=1"),
        ("%remote -o a.b f()", ValueError, "is no name for a variable"),
        ("%remote --actor a f()", ValueError, "is for cells"),
        ("%%remote\n\n \n", ValueError, "nothing below %%remote"),
        ("%%remote f()\n1", ValueError, "takes options only"),
        ("%%remote\n1 +", SyntaxError, "invalid syntax"),
        ("%%remote\n%time 1", ValueError, "there is no IPython"),
        ("%%remote\n!ls", ValueError, "there is no IPython"),
        ("%%remote --local\ndef f(): pass", ValueError, "takes no local option"),
        ("%paralab dance", ValueError, "invalid choice"),
        ("%paralab shutdown --num-cpus 2", ValueError, "takes no num_cpus"),
        ("%paralab init on", ValueError, "takes no on"),
        ("%overhead 1 +", SyntaxError, "takes a recording"),
        ("%%overhead recording\n1", ValueError, "takes the code below it"),
    ],
)
def test_what_is_wrong_raises(
    notebook: Notebook, line: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        notebook(line)
    assert not paralab.is_initialized(), "what is refused starts nothing"


# -- %%remote --------------------------------------------------------------------------------


def test_a_cell_takes_and_gives_names(running: Notebook) -> None:
    running(
        "import math\nimport os\nk = 2\ndef f(x): return x * k\nz = 1\nuntouched = open(os.devnull)"
    )
    value = running(
        "%%remote\nfrom math import sqrt\ny = f(5) + len([z for z in range(3)])\nz = z + 1\n"
        "for i in range(2):\n    pass\npid = os.getpid()\nmath.floor(sqrt(y))"
    )
    assert value == 3
    assert (running["y"], running["z"], running["i"]) == (13, 2, 1)
    assert running["pid"] != os.getpid()
    assert running("sqrt(4)") == 2
    running["untouched"].close()


def test_a_cells_value_can_be_silenced(running: Notebook) -> None:
    assert running("%%remote\nx = 1\nx + 1;") is None
    assert running("%%remote\nx = 1\nx + 1  # ;") == 2
    assert running("%%remote\nx = 5") is None
    assert running["x"] == 5
    assert running("%%remote\nimport threading\nthreading.Lock();") is None, "it needs not travel"


def test_functions_look_their_globals_up_where_they_are(running: Notebook) -> None:
    running("k = 1\ndef inner(): return k\ndef f(): return inner()")
    assert running("%%remote\nk = 5\nf()") == 5
    running("%%remote\ndef made(): return later\nnot_only_a_definition = 1")
    running("later = 'found in the notebook'")
    assert running("made()") == "found in the notebook"


def test_classes_of_the_notebook_stay_themselves(running: Notebook) -> None:
    running("class Point:\n    def __init__(self, x): self.x = x\np = Point(1)")
    running("%%remote\nq = Point(p.x + 1)")
    assert type(running["q"]) is running["Point"]
    assert running["q"].x == 2


def test_methods_look_their_globals_up_where_they_are(running: Notebook) -> None:
    running(
        "%%remote\nclass Made:\n    def m(self): return later()\n"
        "    @staticmethod\n    def s(): return later()\n"
        "    @classmethod\n    def c(cls): return cls, later()\nmade = Made()"
    )
    running("def later(): return 'in the notebook'")
    made = running["made"]
    assert made.m() == made.s() == "in the notebook"
    assert made.c() == (running["Made"], "in the notebook")
    assert running("%%remote\nlater = lambda: 'in the cell'\nMade().m()") == "in the cell"
    assert made.m() == "in the cell", "the cell's lambda has come back"
    assert "__file__" not in running


def test_a_cell_runs_once_even_if_its_worker_dies(running: Notebook, tmp_path: Path) -> None:
    path = str(tmp_path / "runs")
    with pytest.raises(paralab.exceptions.WorkerCrashedError):
        running(f"%%remote\nimport os\nopen({path!r}, 'a').write('x')\nos._exit(1)")
    assert Path(path).read_text() == "x"


def test_names_are_text_wherever_they_are_shown(running: Notebook) -> None:
    name = "<script>alert(1)</script>"
    running(f"%%taskgraph -o seen\n%%remote --name '{name}'\nprint('x')\n1")
    (task,) = take()
    assert task.name == name
    (shown,) = running.outputs
    assert "<script>alert" not in shown["text/html"]
    assert "<script>alert" not in running["seen"].svg


def test_refs_stay_refs(running: Notebook) -> None:
    running("ref = paralab.put([1, 2])")
    assert running("%%remote\nimport paralab\nother = paralab.put(3)\nsum(paralab.get(ref))") == 3
    assert paralab.get(running["other"]) == 3


def test_what_cannot_travel_is_named(running: Notebook) -> None:
    running("lock = __import__('threading').Lock()")
    with pytest.raises(TypeError, match=r"'lock'.*cannot be pickled"):
        running("%%remote\nlock.locked()")
    running("file = lock")
    with pytest.warns(UserWarning, match="^file has stayed in the worker: .*pass its path"):
        assert running("%%remote\nimport os\nwith open(os.devnull) as file:\n    n = 1\nn") == 1
    assert "file" not in running, "the old value would be a wrong one"
    with pytest.raises(TaskError, match="cannot be pickled"):
        running("%%remote\nimport threading\nthreading.Lock()")


def test_what_a_cell_deletes_goes(running: Notebook) -> None:
    running("a = b = 1")
    running("%%remote\ndel a\nif b == 2:\n    b = 3")
    assert "a" not in running
    assert running["b"] == 1


def test_a_cell_that_is_not_waited_for(running: Notebook) -> None:
    running("%%remote --no-get -o run\nx = 1\nif x == 2:\n    never = 3\nx + 1")
    assert type(running["x"]) is paralab.ObjectRef
    assert paralab.get([running["x"], running["run"].value]) == [1, 2]
    assert repr(paralab.get(running["never"])) == "<the cell has not assigned never>"
    assert paralab.get(running("%%remote --no-get\n7")) == 7


def test_an_error_points_at_the_cells_line(running: Notebook) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        running("%%remote\n\na = 1\n\na / 0  # here")
    text = str(caught.value)
    assert "line 5 of Cell In[" in text
    assert '"a / 0  # here"' in text
    assert "remote_cell.py" not in text
    assert "magics/remote.py" not in running.text, "our own frames are hidden"
    with pytest.raises(SyntaxError) as wrong:
        running("%%remote\na = 1\nb = = 2")
    assert wrong.value.lineno == 3


def test_prints_are_labelled_with_the_cell(running: Notebook) -> None:
    running("%%remote\nprint('hello')")
    cell = running.count
    assert f"(In[{cell}] pid=" in running.text
    running("%%remote --name shout\nprint('hello')")
    assert "(shout pid=" in running.text
    assert ") hello" in running.text


def test_a_definition_becomes_remote(running: Notebook) -> None:
    assert running("%%remote --num-cpus 2\ndef f(x):\n    return x + 1") is None
    assert paralab.get(running["f"].remote(1)) == 2
    assert running("paralab.get(f.remote(2))") == 3
    running("%%remote\n# a comment\nclass A:\n    def m(self):\n        return 1")
    assert running("paralab.get(A.remote().m.remote())") == 1
    running("%%remote\n'A docstring.'\ndef g():\n    return 2")
    assert running("paralab.get(g.remote())") == 2
    running("%%remote\n@paralab.remote(num_returns=2)\ndef two(): return 1, 2")
    assert running("paralab.get(two.remote())") == [1, 2]


def test_state_stays_in_an_actor(running: Notebook) -> None:
    running("k = 10")
    running("%%remote --actor box\nimport threading\nlock = threading.Lock()\ncount = k\n"
            "def up():\n    global count\n    count += 1")  # fmt: skip
    assert "count" not in running
    assert "lock" not in running
    assert running("%%remote --actor box\nup()\ncount") == 11
    running("count = 0")
    assert running("%%remote --actor box\nup()\ncount") == 12, "the actor's own comes first"
    ref = running("%%remote --actor box --no-get\ncount")
    assert paralab.get(ref) == 12
    assert running("%%remote --actor other\nk") == 10
    with pytest.raises(ValueError, match="is there already"):
        running("%%remote --actor box --num-cpus 1\n1")
    running("def define_there(): pass")
    running("%%remote --actor box\ndef three(): return 3")
    assert running("%%remote --actor box\nthree()") == 3


def test_an_actor_that_died_is_made_anew(running: Notebook) -> None:
    running("%%remote --actor box\nx = 1")
    paralab.kill(paralab.get_actor("box"))
    with pytest.raises(ActorDiedError):
        running("%%remote --actor box\nx")
    with pytest.raises(NameError):
        running("%%remote --actor box\nx")
    paralab.shutdown()
    assert running("%%remote --actor box\nx = 2\nx") == 2


def test_the_same_cell_here(running: Notebook) -> None:
    value = running("%%remote --local -o run\nimport os\nhere = os.getpid()\nhere")
    assert value == running["here"] == os.getpid()
    run = running["run"]
    assert (run.where, run.value) == ("the notebook", value)
    assert run.seconds >= 0


def test_what_o_binds_can_be_kept(running: Notebook, tmp_path: Path) -> None:
    running("a = 1")
    running("%%remote -o run\nb = a\nb * 2")
    saved = json.loads(running["run"].save(tmp_path / "run.json").read_text())
    assert saved == running["run"].to_dict()
    assert (saved["value"], saved["took"], saved["gave"]) == ("2", ["a"], ["b"])
    assert saved["where"] == "a worker"
    assert 0 < saved["seconds"] < 60


# -- pictures --------------------------------------------------------------------------------

PICTURES = ["explain", "overhead", "taskgraph", "timeline"]


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_a_cell(running: Notebook, name: str) -> None:
    running("@paralab.remote\ndef f(x): return x")
    running("paralab.get(f.remote(0))")
    value = running(
        f"%%{name} -o seen\nz = 1\nz = z + 1\nparalab.get([f.remote(i) for i in range(3)])"
    )
    assert value == [0, 1, 2]
    assert running["z"] == 2
    seen = running["seen"]
    (shown,) = running.outputs
    assert shown["text/plain"] == repr(seen)
    assert len(shown["text/html"]) < 300_000
    assert running(f"%%{name}\n1;") is None
    assert running(f"%%{name} -o other;\n5") == 5
    assert running.outputs == []
    assert "other" in running


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_of_everything(running: Notebook, name: str, tmp_path: Path) -> None:
    running("@paralab.remote\ndef f(x): return x\nparalab.get(f.remote(0))")
    shown = running(f"%{name} -o seen")
    assert shown is running["seen"]
    assert running(f"%{name} ;") is None
    take().save(tmp_path / "run.gz")
    running.shell.user_ns["kept"] = Recording.load(tmp_path / "run.gz")
    paralab.shutdown()
    running(f"%{name} -o seen kept")
    view = getattr(paralab_profiling, {"taskgraph": "task_graph"}.get(name, name))
    assert repr(running["seen"]) == repr(view(running["kept"]))


def test_only_the_cells_own_tasks(running: Notebook) -> None:
    running("@paralab.remote\ndef before(): pass\n@paralab.remote\ndef during(): pass")
    running("paralab.get(before.remote())")
    running("%%overhead -o seen\nparalab.get(during.remote());")
    picture = running["seen"]
    assert isinstance(picture, Picture)
    assert "during" in picture.text
    assert "before" not in picture.text


def test_a_cell_that_fails_shows_what_ran(running: Notebook) -> None:
    running("@paralab.remote\ndef bad(): 1 / 0")
    with pytest.raises(ZeroDivisionError):
        running("%%overhead\nx = 3\nparalab.get(bad.remote())")
    assert len(running.outputs) == 1
    assert running["x"] == 3
    with pytest.raises(ZeroDivisionError):
        running("%%overhead\n1 / 0")
    assert running.outputs == []
    assert "----> 2 1 / 0" in running.text
    assert "pictures.py" not in running.text


def test_two_magics_on_one_cell(running: Notebook) -> None:
    assert running("%%overhead\n%%remote\nx = 4\nx") == 4
    assert running["x"] == 4
    assert len(running.outputs) == 1


@pytest.mark.parametrize("name", ["taskgraph", "timeline", "overhead"])
def test_live_in_a_terminal_is_progress(running: Notebook, name: str) -> None:
    assert running(f"%%{name} --live -o seen\n%remote --get sum([2])\n7") == 7
    assert "1 of 1 tasks done" in running.text
    assert len(running.outputs) == 1
    with pytest.raises(ValueError, match="needs a cell"):
        running(f"%{name} --live")
    with pytest.raises(ZeroDivisionError):
        running(f"%%{name} --live\n1 / 0")


# -- %speedup --------------------------------------------------------------------------------


def test_speedup_of_a_call(running: Notebook) -> None:
    running("def work(x): return sum(range(x))\nk = 1000")
    line = "%speedup --repeats 3 --workers 1,2"
    result = running(f"{line} -o kept work(x) for x in [k] * 4")
    assert result is running["kept"]
    assert result.name == "work"
    assert [point.workers for point in result.sizes[0].points] == [1, 2]
    assert running(f"{line} work, [k] * 4").name == "work"
    assert running(f"{line} work, range(4);") is None
    assert running(f"{line} work(x + k) for x in range(4)").name.startswith("In[")
    running("def inputs(n): return list(range(n))")
    sizes = running(f"{line} --sizes 2,4 work, inputs").sizes
    assert len(sizes) == 2


def test_speedup_of_a_cell(running: Notebook) -> None:
    running("def twice(x): return 2 * x\nz = 1")
    cell = "z = twice(a) + b\nassert z == 2 * a + b, (a, b)\nz"
    result = running(f"%%speedup --repeats 3 --workers 2 a, b in zip(range(4), range(4))\n{cell}")
    assert result.name.startswith("In[")
    assert running["z"] == 1
    assert "a" not in running
    with pytest.raises(ZeroDivisionError):
        running("%%speedup for x in [0]:\n1 / x")
    assert "----> 2 1 / x" in running.text


@pytest.mark.parametrize(
    "cell", ["%speedup work", "%speedup f(", "%speedup f(x) for x in y if x", "%%speedup y\n1"]
)
def test_speedup_says_how_it_is_written(notebook: Notebook, cell: str) -> None:
    with pytest.raises(ValueError, match=r"%speedup takes .* in inputs"):
        notebook(cell)
    assert not paralab.is_initialized()


def test_aggregate(running: Notebook) -> None:
    running("def add(a, b): return a + b\nxs = list(range(4))")
    result = running("%aggregate --repeats 3 --workers 2 -o kept add, xs")
    assert result is running["kept"]
    assert "tree" in repr(result)
    assert running("%aggregate add, [k for k in xs];") is None
    for wrong in ("%aggregate add", "%aggregate add,", "%aggregate (", "%aggregate a, b, c"):
        with pytest.raises(ValueError, match=r"%aggregate takes a function and values"):
            running(wrong)


def test_cluster(running: Notebook) -> None:
    running("%remote --get sum([1])")
    state = running("%cluster -o kept")
    assert state is running["kept"]
    assert "worker" in repr(state)
    assert running("%cluster ;") is None


# -- %paralab, interrupts, loading -----------------------------------------------------------


def test_the_session_from_a_notebook(notebook: Notebook, shutdown_after: None) -> None:
    assert "does not run" in repr(notebook("%paralab"))
    context = notebook("%paralab init --num-cpus 2 --object-store-memory 80MB --resources a=1")
    assert "cpus=2" in repr(context)
    assert paralab.cluster_resources()["a"] == 1
    notebook("big = paralab.put(bytes(1_000_000))")
    status = notebook("%paralab -o status")
    assert status is notebook["status"]
    assert "2 of 2 CPU, 1 of 1 a free" in repr(status)
    assert status.to_dict()["store_bytes"] >= 1_000_000
    assert notebook("%paralab status;") is None
    with pytest.raises(RuntimeError, match="twice"):
        notebook("%paralab init")
    notebook("%paralab shutdown")
    assert not paralab.is_initialized()


def stop_at(notebook: Notebook, code: str) -> None:
    """Runs a cell that ends as if the user had interrupted it."""
    with pytest.raises(KeyboardInterrupt):
        notebook(code + "\nraise KeyboardInterrupt")


GATE = "import os\nos.mkfifo({path!r})\n@paralab.remote\ndef stuck(x): open({path!r}).read()"


def test_an_interrupt_cancels_what_the_cell_started(running: Notebook, tmp_path: Path) -> None:
    running(GATE.format(path=str(tmp_path / "gate")))
    running("old = stuck.options(num_cpus=0).remote(1)")
    stop_at(running, "new = [stuck.remote(i) for i in range(5)]")
    assert "cancelled 5 tasks of this cell" in running.text
    for ref in running["new"]:
        with pytest.raises(paralab.exceptions.TaskCancelledError):
            paralab.get(ref)
    assert paralab.wait([running["old"]], timeout=0)[0] == []
    running(f"open({str(tmp_path / 'gate')!r}, 'w').close()")
    assert paralab.get(running["old"]) is None
    assert running("%remote --get sum([1])") == 1


def test_interrupts_can_be_let_alone(
    running: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running(GATE.format(path=str(tmp_path / "gate")))
    assert running("%paralab").cancels
    running("%paralab interrupt off")
    assert not running("%paralab interrupt").cancels
    stop_at(running, "ref = stuck.remote(1)")
    running("%paralab interrupt on")
    monkeypatch.setattr("paralab_profiling.magics.interrupts.is_called_ray", lambda: True)
    stop_at(running, "other = stuck.remote(1)")
    refs = [running["ref"], running["other"]]
    assert paralab.wait(refs, timeout=0)[0] == [], "Ray leaves tasks alone"
    monkeypatch.undo()
    stop_at(running, "1")
    assert "cancelled" not in running.text
    assert paralab.wait(refs, timeout=0)[0] == [], "they are of earlier cells"


def test_loading_twice_and_unloading(notebook: Notebook) -> None:
    shell = notebook.shell
    magics.load(shell)
    assert shell.find_line_magic("remote") is not None
    magics.unload(shell)
    for kind in ("line", "cell"):
        assert "remote" not in shell.magics_manager.magics[kind]
        assert "overhead" not in shell.magics_manager.magics[kind]
    assert "RemoteMagics" not in shell.magics_manager.registry
    callbacks = shell.events.callbacks
    assert not [c for c in callbacks["pre_run_cell"] if "paralab" in c.__module__]
    assert not [c for c in callbacks["post_run_cell"] if "paralab" in c.__module__]
    magics.unload(shell)
    own: Callable[[str], str] = lambda line: "mine"  # noqa: E731
    shell.register_magic_function(own, "line", "remote")
    magics.load(shell)
    magics.unload(shell)
    assert notebook("%remote") == "mine"


@pytest.mark.parametrize(
    "name", ["remote", "paralab", "cluster", "speedup", "aggregate", *PICTURES]
)
def test_each_magic_has_a_help_page(notebook: Notebook, name: str) -> None:
    text = notebook.shell.find_line_magic(name).__doc__
    assert "-o NAME" in text
    assert "%" in text or name == "paralab"
    assert len(text) > 200


EXTENSION = """
import sys, threading
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(history_load_length=0)
before = threading.active_count()
print("BEGIN")
shell.run_line_magic("load_ext", "paralab")
print("END")
import paralab
assert threading.active_count() == before and not paralab.is_initialized()
assert shell.find_cell_magic("remote")
shell.run_line_magic("unload_ext", "paralab")
assert not shell.find_cell_magic("remote")
shell.run_line_magic("reload_ext", "paralab")
assert shell.find_cell_magic("remote")
"""


def run_python(code: str, folder: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    paths = [*path, ROOT / "runtime", ROOT / "profiling"]
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={"PATH": "", "IPYTHONDIR": str(folder), "HOME": str(folder),
             "PYTHONPATH": ":".join(map(str, paths))},
    )  # fmt: skip


def installed_with(folder: Path, entry_points: dict[str, dict[str, str]]) -> Path:
    """A folder that looks as if paralab were installed in it with these entry points."""
    info = folder / "site" / "paralab-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: paralab\nVersion: 0\n")
    text = "".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in each.items())
        for group, each in entry_points.items()
    )
    (info / "entry_points.txt").write_text(text)
    return info.parent


def test_load_ext_finds_the_magics_by_entry_point(tmp_path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    done = run_python(EXTENSION, tmp_path, installed_with(tmp_path, project["entry-points"]))
    assert done.returncode == 0, done.stderr
    assert "BEGIN\nEND\n" in done.stdout


def test_without_magics_the_error_says_what_to_do(tmp_path: Path) -> None:
    code = "import paralab\nparalab.load_ipython_extension(None)"
    done = run_python(code, tmp_path, installed_with(tmp_path, {}))
    assert "ImportError: %load_ext paralab found no magics" in done.stderr
    assert "pip install" in done.stderr


def test_the_profiling_package_needs_no_ipython(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['IPython'] = None\nimport paralab_profiling.magics, paralab\n"
        "print('fine')"
    )
    assert run_python(code, tmp_path).stdout == "fine\n"
