"""The magics where they are used: a Jupyter kernel, a notebook that is run, a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

for needed in ("IPython", "ipykernel", "jupyter_client"):
    pytest.importorskip(needed, reason=f"{needed} is not installed: no magics in Jupyter")

ROOT = Path(__file__).parents[2]
KERNEL = ROOT / "tests" / "process" / "kernel_program.py"
NBCLIENT = """
import json, sys, nbclient, nbformat
cells = [nbformat.v4.new_code_cell(code) for code in json.load(sys.stdin)]
notebook = nbformat.v4.new_notebook(cells=cells)
try:
    nbclient.NotebookClient(notebook, timeout=200, kernel_name="python3").execute()
finally:
    json.dump([cell.outputs for cell in cells], sys.stdout)
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In which paralab looks installed as pyproject.toml says, wherever it really is."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = tmp_path / "site" / "paralab-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: paralab\nVersion: 0\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    paths = [info.parent, ROOT / "runtime", ROOT / "profiling"]
    folder = tmp_path / "ipython"
    folder.mkdir()
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "IPYTHONDIR": str(folder),
        "JUPYTER_PLATFORM_DIRS": "1",
    }


def run(program: list[str], given: Any, environment: dict[str, str], folder: Path) -> Any:
    return subprocess.run(
        [sys.executable, *program],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        cwd=folder,
        env=environment,
    )


START = "%load_ext paralab\n%paralab init --num-cpus 2 --quiet;"


def test_in_a_kernel(environment: dict[str, str], tmp_path: Path) -> None:
    steps = [
        {"code": "%load_ext paralab"},
        {"code": "%paralab init --num-cpus 2\nk = 3"},
        {"code": "%%remote\nprint('said in a worker')\nx = k + 1\nx * 2"},
        {"code": "x"},
        {"code": "%%remote\n\ny = 1\ny / 0  # the learner's line"},
        {"code": "import os\nos.mkfifo('gate')\ndef stuck():\n"
                 "    print('stuck now')\n    open('gate').read()"},
        {"code": "import paralab\nrefs = %remote stuck()\nparalab.get(refs)",
         "interrupt_at": "stuck now"},
        {"code": "paralab.wait([refs], num_returns=1)[0] == [refs]"},
        {"code": "paralab.get(refs)"},
        {"code": "%%remote\nstuck()", "interrupt_at": "stuck now"},
        {"code": "%%timeline\n%remote --get sum([k, k]);\n7"},
        {"code": "%%timeline -o kept;\n8;"},
        {"code": "other = %remote sum([2])\nawait other"},
    ]  # fmt: skip
    done = run([str(KERNEL)], steps, environment, tmp_path)
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)

    def shown(cell: int, kind: str) -> str:
        text = "\n".join(text for each, text, _late in answers[cell] if each == kind)
        return re.sub(r"\x1b\[[0-9;]*m", "", text)

    assert answers[0] == [], "loading prints nothing"
    assert answers[1] == [], "the value of the line is not the cell's last"
    assert re.search(r"\(In\[3\] pid=\d+\) said in a worker", shown(2, "stdout"))
    assert shown(2, "execute_result") == "8"
    assert shown(3, "execute_result") == "4"
    failure = shown(4, "error")
    assert re.search(r'File "Cell In\[5\]", line 4, in <module>\n    y / 0', failure)
    assert 'line 4 of Cell In[5]: "y / 0  # the learner\'s line"' in failure
    assert "magics/remote.py" not in failure
    for cell in (6, 9):
        assert "KeyboardInterrupt" in shown(cell, "error")
        assert "cancelled 1 task of this cell" in shown(cell, "stderr")
    assert shown(7, "execute_result") == "True"
    assert "TaskCancelledError" in shown(8, "error")
    assert shown(10, "execute_result") == "7"
    assert "driver" in shown(10, "display_data")
    assert answers[11] == []
    assert shown(12, "execute_result") == "2"


def test_live_in_a_kernel(environment: dict[str, str], tmp_path: Path) -> None:
    for package in ("anywidget", "ipywidgets"):
        pytest.importorskip(package, reason=f"{package} is not installed: no live views")
    steps = [
        {"code": START},
        {"code": "%%timeline --live -o kept\n%remote --get --name add sum([1, 2])\n7"},
        {"code": "kept.title"},
        {"code": "%%taskgraph --live -o other\n%remote --get --name add sum([1, 2]);\n1 / 0"},
        {"code": "%cluster -o view ;\nview.close()"},
    ]
    done = run([str(KERNEL)], steps, environment, tmp_path)
    assert done.returncode == 0, done.stderr
    _, seen, title, failed, _ = json.loads(done.stdout)
    assert [text for kind, text, _late in seen if kind == "execute_result"] == ["7"]
    assert any("workers" in text for kind, text, _late in title if kind == "execute_result")
    assert any("ZeroDivisionError" in text for kind, text, _late in failed if kind == "error")


def test_in_a_notebook_that_is_run(environment: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("nbclient", reason="nbclient is not installed: no notebook is run")
    cells = [START, "%%overhead\n%%remote\nx = 2\nx", "assert x == 2", "%paralab shutdown"]
    done = run(["-c", NBCLIENT], cells, environment, tmp_path)
    assert done.returncode == 0, done.stderr
    first, picture, *others = json.loads(done.stdout)
    assert first == []
    assert others == [[], []]
    display, value = (each["data"] for each in picture if "data" in each)
    assert value["text/plain"] == "2"
    assert "<img" in display["text/html"]
    assert display["text/plain"]
    done = run(["-c", NBCLIENT], [START, "%remote --nonsense f()"], environment, tmp_path)
    assert done.returncode != 0
    assert "%remote: unrecognized arguments: --nonsense; %remote? shows" in done.stderr
    assert "CellExecutionError" in done.stderr


def test_in_a_terminal(environment: dict[str, str], tmp_path: Path) -> None:
    pexpect = pytest.importorskip("pexpect", reason="pexpect is not installed: no terminal")
    arguments = ["-m", "IPython", "--simple-prompt", "--no-banner", "--no-confirm-exit"]
    terminal = pexpect.spawn(
        sys.executable,
        [*arguments, "--colors=" + ("NoColor" if _ipython() < 9 else "nocolor")],
        env={**environment, "TERM": "dumb"},
        cwd=str(tmp_path),
        encoding="utf-8",
        timeout=60,
        dimensions=(50, 200),
    )
    try:
        number = 0

        def enter(*lines: str, until: str = "") -> str:
            nonlocal number
            number += 1
            if number == 1:
                terminal.expect_exact("In [1]: ")
            for line in lines:
                terminal.sendline(line)
            if until:
                terminal.expect_exact(until)
                terminal.sendintr()
            terminal.expect_exact(f"In [{number + 1}]: ")
            return str(terminal.before)

        enter("%load_ext paralab")
        assert "cpus=2" in enter("%paralab init --num-cpus 2")
        gate = "print('st' + 'uck') or open('gate').read()"
        enter(f"import os; os.mkfifo('gate'); stuck = lambda: {gate}")
        assert "Out[4]: 5" in enter("%remote --get sum([2, 3])")
        said = enter("%%remote", "y = 4", "y + 1", "", "")
        assert "Out[5]: 5" in said
        assert "Out[6]: 4" in enter("y")
        said = enter("%%timeline", "%remote --get sum([2, 3])", "", "")
        assert "sum" in said
        assert max(len(line.rstrip("\r")) for line in said.split("\n")) <= 110
        said = enter("%remote --get stuck()", until=") stuck")
        assert "cancelled 1 task of this cell" in said
        assert "KeyboardInterrupt" in said
        assert "Out[9]: 6" in enter("%remote --get sum([3, 3])")
        terminal.sendline("exit")
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close()
    assert terminal.exitstatus == 0


def _ipython() -> int:
    from importlib.metadata import version

    return int(version("ipython").partition(".")[0])
