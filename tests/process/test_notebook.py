"""A real Jupyter kernel: prints, errors, interrupts, definitions, and what an end leaves behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jupyter_client")
pytest.importorskip("ipykernel")

PROGRAM = Path(__file__).with_name("kernel_program.py")
Message = list[Any]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(steps: list[dict[str, str]], folder: Path) -> list[Any]:
    """What each step of ``kernel_program`` gave; the kernel runs in ``folder``."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        input=json.dumps(steps),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def printed(messages: list[Message], stream: str = "stdout") -> list[str]:
    """The lines under a cell, without the pids."""
    assert not any(late for _kind, _text, late in messages), messages
    text = "".join(text for kind, text, _late in messages if kind == stream)
    return re.sub(r" pid=\d+", "", text).splitlines()


def only(messages: list[Message], kind: str) -> str:
    """The text of the one message of a kind, without colours."""
    (text,) = [text for each, text, _late in messages if each == kind]
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


START = """
import os, time, threading
import paralab
paralab.init(num_cpus=2)
"""
PIDS = """
engine = paralab.engine.current()
pids = [worker["pid"] for worker in engine.info("workers")] + [engine._node_process.pid]
"""
CELLS = {
    "start": START,
    "shout": """
@paralab.remote
def shout(word):
    print("line", word)
    return word
paralab.get([shout.remote(1) for _ in range(1)])
""",
    "order": """
for i in range(5):
    print("before", i)
    paralab.get(shout.remote(i))
    print("after", i)
""",
    "repeat": "paralab.get(shout.remote(4));",
    "repeat again": "paralab.get(shout.remote(4));",
    "many": """
import paralab.process.prints
paralab.process.prints.FOLD_SECONDS = 1_000.0  # however slow the machine is
Shouter = paralab.remote(type("Shouter", (), {"shout": lambda self: print("same")}))
one, two = Shouter.remote(), Shouter.remote()
paralab.get(one.shout.remote())
paralab.get([two.shout.remote() for _ in range(39)]);
""",
    "ref": "ref = shout.remote('shown')\nref",
    "out": "paralab.get(Out[len(Out) and max(Out)])",
    "fail": """
@paralab.remote
def divide(a, b):
    c = 1
    return a / b  # the learner's line
paralab.get(divide.remote(1, 0))
""",
    "late": """
for name in ("open", "done"):
    os.mkfifo(name)

@paralab.remote
def late():
    with open("open") as gate:
        gate.read()
    print("late line")
    with open("done", "w") as gate:
        gate.write("x")

ref = late.remote()
""",
    "open": """
open("open", "w").close()
open("done").read()
for _ in range(100):
    paralab.wait([ref])
""",
    "define 1": "@paralab.remote\ndef f():\n    return 'old'\nparalab.get(f.remote())",
    "define 2": "@paralab.remote\ndef f():\n    return 'new'\nparalab.get(f.remote())",
    "class 1": "@paralab.remote\nclass A:\n    def f(self):\n        return 'old'\n"
    "paralab.get(A.remote().f.remote())",
    "class 2": "@paralab.remote\nclass A:\n    def f(self):\n        return 'new'\n"
    "paralab.get(A.remote().f.remote())",
    "write": """
import sys
sys.path.insert(0, os.getcwd())
%load_ext autoreload
%autoreload 2
def write(value):
    with open("edited_module.py", "w") as file:
        file.write(f"import paralab\\n@paralab.remote\\ndef f():\\n    return {value!r}\\n")
write("one")
import edited_module
paralab.get(edited_module.f.remote())
""",
    "rewrite": "write('two and two')",
    "reloaded": "paralab.get(edited_module.f.remote())",
    "usable": "paralab.get(shout.remote('usable'))",
}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Message]]:
    """What each of ``CELLS`` shows when they are run in order."""
    folder = tmp_path_factory.mktemp("notebook")
    answers = run([{"code": code} for code in CELLS.values()], folder)
    return dict(zip(CELLS, answers, strict=True))


def test_init_shows_what_it_started(notebook: dict[str, list[Message]]) -> None:
    shown = only(notebook["start"], "execute_result")
    assert "cpus=2" in shown
    assert "MiB" in shown


def test_tasks_print_under_their_cell_in_order(notebook: dict[str, list[Message]]) -> None:
    assert printed(notebook["order"]) == [
        text for i in range(5) for text in (f"before {i}", f"(shout) line {i}", f"after {i}")
    ]


def test_a_line_is_shown_in_each_cell_that_prints_it(notebook: dict[str, list[Message]]) -> None:
    assert printed(notebook["repeat"]) == ["(shout) line 4"]
    assert printed(notebook["repeat again"]) == ["(shout) line 4"]


def test_repeats_are_counted_under_their_cell(notebook: dict[str, list[Message]]) -> None:
    first, note = printed(notebook["many"])
    assert first == "(Shouter) same"
    assert note.startswith("(Shouter) [the line above came 39 more times")


def test_a_ref_is_a_cells_value(notebook: dict[str, list[Message]]) -> None:
    assert re.fullmatch(r"ObjectRef\([0-9a-f]{56}\)", only(notebook["ref"], "execute_result"))
    assert only(notebook["out"], "execute_result") == "'shown'"


def test_an_error_shows_the_learners_line_and_folds_ours(
    notebook: dict[str, list[Message]],
) -> None:
    shown = only(notebook["fail"], "error")
    assert "ZeroDivisionError" in shown
    assert "----> 5 paralab.get(divide.remote(1, 0))" in shown
    assert re.search(r'line 4 of Cell In\[\d+\]: "return a / b  # the learner\'s line"', shown)
    assert re.search(r'File "Cell In\[\d+\]", line 4, in divide\n    return a / b', shown)
    assert "paralab hidden" in shown
    places = re.findall(r"^(?:File|Cell) (.*?),", shown, re.MULTILINE)
    assert len([place for place in places if "paralab" in place]) <= 1, "only get() itself"


def test_what_a_task_of_an_earlier_cell_prints_is_shown(
    notebook: dict[str, list[Message]],
) -> None:
    assert printed(notebook["late"]) == []
    assert printed(notebook["open"]) == ["(late) late line"]


def test_definitions_are_sent_anew(notebook: dict[str, list[Message]]) -> None:
    for kind in ("define", "class"):
        assert only(notebook[f"{kind} 1"], "execute_result") == "'old'"
        assert only(notebook[f"{kind} 2"], "execute_result") == "'new'"


def test_autoreload_sends_an_edited_module_anew(notebook: dict[str, list[Message]]) -> None:
    assert only(notebook["write"], "execute_result") == "'one'"
    assert only(notebook["reloaded"], "execute_result") == "'two and two'"


def test_nothing_goes_wrong_on_the_way(notebook: dict[str, list[Message]]) -> None:
    assert only(notebook["usable"], "execute_result") == "'usable'"
    for name, messages in notebook.items():
        kinds = {kind for kind, _text, _late in messages}
        assert name == "fail" or not kinds & {"error", "stderr"}, (name, messages)


def test_an_interrupt_leaves_the_session_usable(tmp_path: Path) -> None:
    wait = """
os.mkfifo("never")

os.mkfifo("go")

@paralab.remote
def stuck():
    open("go").read()
    print("started")
    open("never").read()

refs = [stuck.remote()]
open("go", "w").close()  # it goes on once refs is there
"""
    answers = run(
        [
            {"code": START},
            {"code": wait + "paralab.get(refs)", "interrupt_at": "started"},
            {"code": "ready, rest = paralab.wait(refs, timeout=0)\n(len(ready), len(rest))"},
            {"code": "paralab.get(paralab.remote(lambda: 7).remote())"},
            {
                "code": "print('waiting', flush=True)\nparalab.wait(refs)",
                "interrupt_at": "waiting",
            },
            {"code": "open('never', 'w').close()\nparalab.get(refs)"},
            {"code": "paralab.get([paralab.remote(lambda: 8).remote() for _ in range(5)])"},
        ],
        tmp_path,
    )
    for number in (1, 4):
        shown = only(answers[number], "error")
        assert "KeyboardInterrupt" in shown
        assert shown.count("runtime/paralab") <= 1, "where in paralab it struck is not told"
    assert only(answers[2], "execute_result") == "(0, 1)"
    assert only(answers[3], "execute_result") == "7"
    assert only(answers[5], "execute_result") == "[None]"
    assert only(answers[6], "execute_result") == str([8] * 5)


BUSY = """
@paralab.remote
class Counter:
    def up(self):
        return 1

counter = Counter.remote()
paralab.get([counter.up.remote(), paralab.remote(lambda: 1).remote()])
os.mkfifo("never")
stuck = paralab.remote(lambda: open("never").read()).remote()
"""


@pytest.mark.parametrize("how", ["shutdown", "restart", "kill"])
def test_the_kernels_end_leaves_no_process(how: str, tmp_path: Path) -> None:
    steps = [{"code": START + BUSY + PIDS}, {"end": how, "pids": "pids"}]
    if how == "restart":
        again = START + "paralab.get(paralab.remote(lambda: 5).remote())"
        steps += [{"code": again}]
    answers = run(steps, tmp_path)
    assert answers[1] < 30
    if how == "restart":
        assert only(answers[2], "execute_result") == "5"


def test_nbclient_runs_a_notebook(tmp_path: Path) -> None:
    pytest.importorskip("nbclient")
    program = """
import json, sys, nbclient, nbformat
cells = [nbformat.v4.new_code_cell(code) for code in json.load(sys.stdin)]
notebook = nbformat.v4.new_notebook(cells=cells)
nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
json.dump([cell.outputs for cell in cells], sys.stdout)
"""
    names = ["start", "shout", "order"]
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps([CELLS[name] for name in names]),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    outputs = dict(zip(names, json.loads(done.stdout), strict=True))
    text = "".join(each["text"] for each in outputs["order"] if each["output_type"] == "stream")
    assert [line.split(") ")[-1] for line in text.splitlines()] == [
        line for i in range(5) for line in (f"before {i}", f"line {i}", f"after {i}")
    ]


MEMORY_START = """
import numpy as np, paralab
from paralab.memory_summary import memory_summary
paralab.init(num_cpus=1, _system_config={"record_ref_creation_sites": True})
def objects():
    paralab.util.state.list_objects()  # in order behind what finalisers have left
    return paralab.engine.current().info("store")["objects"]
"""
MEMORY_CELLS = [
    MEMORY_START,  # In[1]
    "big = paralab.put(np.zeros(1_000_000))",
    "paralab.get(big)",  # Out[3]
    "kept = [paralab.get(big)[10:20]]; del big",
    "print(memory_summary(units='MB'))",
    "del kept",
    "print(memory_summary(units='MB'))",
    "%xdel _3",
    "print(objects())",
    "other = paralab.put(np.ones(1_000_000))",
    "{'a': [paralab.get(other)]}",  # Out[11]
    "del other, Out[11], _11",
    "print(memory_summary())",
    "%xdel _",
    "print(objects())",
]


def test_outputs_keep_arrays_alive(tmp_path: Path) -> None:
    answers: list[Any] = run([{"code": code} for code in MEMORY_CELLS], tmp_path)

    def text(cell: int) -> str:
        # In as many messages as the kernel likes.
        return "".join(text for kind, text, _late in answers[cell - 1] if kind == "stdout")

    # A slice of the array, in a list, holds the object as well as the output does.
    assert "held by: Out[3] of IPython; _ of IPython; variable kept" in text(5)
    assert re.search(r"made at: \(put object\) \| In\[2\]:<module>:1\n", text(5))
    assert "by nothing else" not in text(5)
    assert "held by: Out[3] of IPython; _ of IPython\n" in text(7)
    assert re.search(r"8\.0\d+ MB are held by Out\[3\] of IPython and by nothing else", text(7))
    assert "'%xdel _3'" in text(7)
    assert text(9) == "0\n"
    # 'del' is not enough, and the summary knows where the rest is.
    assert "held by: _ of IPython; Out[11] of IPython\n" in text(13)
    assert text(15) == "0\n"
