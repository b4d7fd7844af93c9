"""The leak check finds what is left behind, and only that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

Run = Callable[[str], pytest.RunResult]
HERE = Path(__file__).parent

HEAD = """
import os, pathlib, pytest, subprocess, sys, tempfile, threading

def orphan(code):
    "Starts a process whose parent ends at once; returns when it runs."
    starter = (
        "import subprocess, sys;"
        f"subprocess.Popen([sys.executable, '-c', {code!r}])"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", starter], check=True)
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs tests in a process of their own, with the leak check and no other plugin."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(body: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=HEAD + body)
        pytester.makeini(f"[pytest]\npythonpath = {HERE}\naddopts = -p leak_check")
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=280)

    return run


def test_each_kind_is_found_and_named(run: Run) -> None:
    # The first test that leaks does not make the second fail: each is compared by itself.
    leaks = {
        "child": ("subprocess.Popen(['sleep', '600'])", "process pid * (*, parent *): sleep 600"),
        "orphan": ("orphan('import signal; signal.pause()')", "process pid *signal.pause()"),
        "file": ("open(os.devnull)", "1 descriptor(s) /dev/null: * -> /dev/null"),
        "pipe": ("os.pipe()", "2 descriptor(s) pipe: * -> pipe:*"),
        "folder": ("tempfile.mkdtemp(prefix='mine')", "temporary file */mine*"),
        "memory": ("MEMORY.touch()", "shared memory */names/leak"),
        "thread": ("threading.Thread(target=DONE.wait, daemon=True).start()", "thread <Thread(*"),
    }
    tests = "".join(
        f"def test_{name}():\n    KEPT.append({code})\n\n" for name, (code, _) in leaks.items()
    )
    result = run(
        f"""
import leak_check
leak_check.GRACE = 0.2
KEPT = []
DONE = threading.Event()
# A name in the real folder would be seen by whatever test runs beside this one.
leak_check.SHM = pathlib.Path(__file__).parent / "names"
leak_check.SHM.mkdir()
MEMORY = leak_check.SHM / "leak"

{tests}

def test_clean():
    MEMORY.unlink()
"""
    )
    result.assert_outcomes(passed=len(leaks) + 1, errors=len(leaks))
    for name, (_, named) in leaks.items():
        result.stdout.fnmatch_lines([f"*left behind by test_it.py::test_{name}:*", f"*{named}"])


def test_what_is_just_ending_is_awaited(run: Run) -> None:
    result = run(
        """
def test_process_and_thread():
    read, write = os.pipe()
    orphan("import time; time.sleep(0.3)")
    timer = threading.Timer(0.2, lambda: (os.close(read), os.close(write)))
    timer.start()

def test_cycle_that_holds_a_file():
    class Holder: pass
    holder = Holder()
    holder.me, holder.pipe = holder, os.fdopen(os.pipe()[0])
    os.close(holder.pipe.fileno() + 1)

def test_resource_tracker():
    from multiprocessing.shared_memory import SharedMemory
    memory = SharedMemory(create=True, size=10)
    memory.close()
    memory.unlink()
"""
    )
    result.assert_outcomes(passed=3)


def test_a_fixture_may_outlive_its_test(run: Run) -> None:
    result = run(
        """
@pytest.fixture(scope="module")
def shared(leak_check, request):
    with leak_check.postponed(request.node.nodeid):
        process = subprocess.Popen(["sleep", "600"])
        yield
        process.kill()
        process.wait()

def test_before(): pass

def test_uses(shared):
    global KEPT
    KEPT = os.open(os.devnull, os.O_RDONLY)

def test_uses_too(shared): pass
"""
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*left behind by test_it.py::test_uses_too, all tests since test_it.py::test_uses:*",
            "*descriptor(s) /dev/null*",
        ]
    )


def test_a_leaked_process_is_ended(run: Run, pytester: pytest.Pytester) -> None:
    result = run(
        """
import leak_check
leak_check.GRACE = 0.2

def test_leaks():
    process = subprocess.Popen(["sleep", "600"])
    pathlib.Path("pid").write_text(str(process.pid))
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    pid = (pytester.path / "pid").read_text()
    assert not Path("/proc", pid).exists()
