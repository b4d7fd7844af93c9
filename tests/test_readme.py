"""The README's example runs and prints what its comments say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

README = Path(__file__).parent.parent / "README.md"


EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def run(code: str, folder: Path) -> list[str]:
    script = folder / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_example_prints_what_it_says(tmp_path: Path) -> None:
    code, _views = EXAMPLES
    expected = re.findall(r"^print\(.*\)\s+# (.*)$", code, re.MULTILINE)
    assert len(expected) == 2
    assert run(code, tmp_path) == expected


def test_every_view_is_shown(tmp_path: Path) -> None:
    _code, views = EXAMPLES
    work = "paralab.get([paralab.remote(lambda n: n).remote(n) for n in range(9)])"
    views = views.replace("...  ", work).replace("pp.explain(", "x = pp.explain(")
    views = re.sub(r"^pp\.\w+\(.*?\)", r"print(\g<0>)", views, flags=re.MULTILINE)
    assert work in views
    shown = run(f"import paralab\nparalab.init(num_cpus=2)\n{views}\nprint(x)", tmp_path)
    assert sum("9 tasks" in line for line in shown) == 3, "the graph, the overhead, explain"
    assert any("busy" in line for line in shown), "the timeline"
