"""S10: what cells of a notebook show, and so keep: no variable, no token, no home folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from intruders import token_of
from program import all_end

import paralab
from leak_check import children, descendants
from paralab.context import Context

SECRET = "s3cr3t-in-the-environment"

SHELL = """
import json, os, sys
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell = InteractiveShell.instance()
shown = []
for cell in json.loads(sys.stdin.readline()):
    with capture_output() as captured:
        result = shell.run_cell(cell, store_history=True)
    data = []
    if result.result is not None:
        data = [str(value) for value in shell.display_formatter.format(result.result)[0].values()]
    shown.append([captured.stdout, captured.stderr, *data,
                  *(str(value) for output in captured.outputs for value in output.data.values())])
print(json.dumps(shown), flush=True)
sys.stdin.readline()
"""
CELLS = {
    "init": "import paralab, os\nparalab.init(num_cpus=2)",
    "again": "paralab.init(num_cpus=2)",
    "refs": """
@paralab.remote
def f(x):
    return x
@paralab.remote
class A:
    def g(self):
        return 1 / 0
[f, A, f.remote(1)]""",
    "actor": "a = A.remote()\n[a, a.g, a.g.remote()]",
    "fails in an actor": "paralab.get(a.g.remote())",
    "fails in a module": "import learner\nparalab.get(paralab.remote(learner.divide).remote(1, 0))",
    "fails to be sent": "paralab.get(f.remote(__import__('threading').Lock()))",
    "dies": """
@paralab.remote(max_retries=0)
def dies():
    os._exit(1)
paralab.get(dies.remote())""",
    "environment": """
g = f.options(runtime_env={"env_vars": {"INNER": os.environ["SECRET"]}})
paralab.get(g.remote(1))
g""",
    "a wrong variable": """
f.options(runtime_env={"env_vars": {"INNER": os.environ["SECRET"] + chr(0)}})""",
    "wrong variables": """
f.options(runtime_env={"env_vars": ["INNER=" + os.environ["SECRET"]]})""",
    "rows": """
from paralab.util import state
[state.list_tasks(detail=True), state.list_actors(detail=True), state.list_workers(detail=True),
 state.list_objects(detail=True), state.list_jobs(detail=True), paralab.get_runtime_context()]""",
    "nodes": "[paralab.nodes(), paralab.cluster_resources()]",
    "picture": """
from paralab_profiling import compare, record
with record("run") as run:
    paralab.get(f.remote(2))
compare(run)""",
    "memory": """
from paralab.memory_summary import memory_summary
kept = {"a key": paralab.put(1)}
print(memory_summary())""",
    "lost": "paralab.get_actor('nobody')",
    "end": "print(paralab.get_runtime_context().gcs_address.split(os.sep)[-1]); paralab.shutdown()",
}
ARE_DATA = {"rows"}
"""Cells that ask for facts in which a program finds paths and variables of its own."""


def colourless(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_what_cells_keep(tmp_path: Path, scorecard: Any) -> None:
    pytest.importorskip("IPython")
    home = tmp_path / "home" / "ada"
    (home / "tmp").mkdir(parents=True)
    (home / "work").mkdir()
    module = home / "work" / "learner.py"
    module.write_text("def divide(a, b):\n    return a / b\n")
    here = os.pathsep.join(path for path in sys.path if path)
    environment = {
        **os.environ, "HOME": str(home), "TMPDIR": str(home / "tmp"), "SECRET": SECRET,
        "PARALAB_RECORD_REF_CREATION_SITES": "1",
        "PYTHONPATH": os.pathsep.join([str(home / "work"), here]), "IPYTHONDIR": str(home / "ipy"),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SHELL], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=home / "work",
        env=environment,
    )  # fmt: skip
    below: set[int] = set()
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(list(CELLS.values())) + "\n")
        process.stdin.flush()
        assert process.stdout is not None
        line = process.stdout.readline()
        below = descendants(process.pid)
        _out, err = process.communicate("\n", timeout=60)
        assert line, err
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        all_end(below & set(children(os.getpid())), 4)
    shown = dict(zip(CELLS, json.loads(line), strict=True))
    leaks = []
    for name, texts in shown.items():
        text = colourless("\n".join(texts))
        if SECRET in text:
            leaks.append((name, "a variable's value"))
        if str(home) in text and name not in ARE_DATA:
            at = text.index(str(home))
            leaks.append((name, text[max(0, at - 100) : at + 100]))
    assert leaks == []
    assert any("~/tmp/paralab-" in text for text in shown["init"])
    assert "<table>" in "".join(shown["init"])
    assert any("~/work/learner.py" in colourless(text) for text in shown["fails in a module"])
    assert "made at: (put object) | " in shown["memory"][0]
    assert "of paralab hidden" in "".join(shown["fails in an actor"])
    scorecard.figure(
        "S10",
        f"of {len(CELLS)} cells kept a token, a variable or the home",
        0,
        short=f"in {{}} of {len(CELLS)} cells",
    )


def test_the_address_that_is_shown_can_be_used(
    shutdown_after: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / "tmp").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TMPDIR", str(home / "tmp"))
    from paralab.process import session
    from paralab.process.door import end_node_at

    folder = session.start_node_alone(num_cpus=1)
    try:
        context = paralab.init(address=f"unix:{folder}")
        said = re.search(r"address='(.*?)'", repr(context))
        assert said is not None
        assert said[1].startswith("unix:~/tmp/paralab-")
        assert said[1] in context._repr_html_()
        assert str(home) not in repr(context) + context._repr_html_() + str(context)
        assert context.address_info["address"] == f"unix:{folder}", "programs get the whole path"
        paralab.shutdown()
        assert paralab.init(address=said[1]).address_info["address"] == f"unix:{folder}"
        paralab.shutdown()
        assert token_of(folder).hex() not in repr(context) + context._repr_html_()
    finally:
        end_node_at(folder, 10, force=True)


def test_html_escapes_whatever_the_folder_is_called() -> None:
    evil = "unix:/tmp/<script>alert(1)</script>\x1b[2J'\""
    context = Context({"address": evil, "node_id": "<b>"}, "<i>", lambda: None, {"CPU": 1.0})
    html = context._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert "\x1b" not in html + repr(context)
