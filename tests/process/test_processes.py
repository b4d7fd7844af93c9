"""The processes of a session: none outlives it, and none that the user forks disturbs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from process_helpers import eventually
from program import Program, all_end, process_name, program

import paralab
from leak_check import descendants, wait_ended
from paralab.engine import current
from paralab.process import session_folder

pytestmark = pytest.mark.slow

REST = """
paralab.init(num_cpus=2)

@paralab.remote
def add(a, b=1):
    return a + b

@paralab.remote
class Counter:
    def add(self, n=1):
        return n

counter = Counter.remote()
paralab.get([add.remote(1), add.remote(2), counter.add.remote()])
kept = paralab.put(bytes(300_000))
"""
LOAD = (
    REST
    + """
def work():
    refs = []
    try:
        while True:
            refs.append(add.remote(1))
            refs.append(counter.add.remote(bytes(200_000)))
            if len(refs) > 200:
                paralab.get(refs)
                refs.clear()
    except (paralab.exceptions.LocalNodeDied, RuntimeError):
        pass  # a test has killed the node, and shut the session down

threading.Thread(target=work, name="load").start()
paralab.get([add.remote(n) for n in range(500)])
"""
)
READY = 'print("ready", flush=True)\nsys.stdin.readline()\n'


def session_of(driver: Program) -> set[int]:
    """Every process of the driver's session; there are a node, a zygote and workers."""
    assert driver.line() == "ready"
    found = descendants(driver.pid)
    names = {process_name(pid) for pid in found}
    assert {"paralab-node", "paralab-zygote", "paralab-worker"} <= names, names
    return found


@pytest.mark.parametrize("source", [REST, LOAD], ids=["rest", "load"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_when_the_driver_is_killed_all_goes(how: signal.Signals, source: str) -> None:
    with program(source + READY) as driver:
        session = session_of(driver)
        os.kill(driver.pid, how)
        all_end({driver.pid} | session)


@pytest.mark.parametrize("source", [REST, LOAD], ids=["rest", "load"])
def test_when_the_node_is_killed_all_but_the_driver_goes(source: str) -> None:
    after = """
try:
    paralab.get(add.remote(1), timeout=60)
except paralab.exceptions.LocalNodeDied:
    pass
for thread in threading.enumerate():
    if thread.name == "load":
        thread.join()  # it has heard of it too
paralab.shutdown()
paralab.init(num_cpus=1)
print("again", paralab.get(add.remote(1)))
"""
    with program(source + READY + after) as driver:
        session = session_of(driver)
        (node,) = driver.named("paralab-node")
        os.kill(node, signal.SIGKILL)
        all_end(session)
        code, out, err = driver.end(line="\n")
        assert (code, out.splitlines()[-1], err) == (0, "again 2", "")


@pytest.mark.parametrize("source", [REST, LOAD], ids=["rest", "load"])
def test_when_everything_but_a_worker_is_killed_it_goes_too(source: str) -> None:
    with program(source + READY) as driver:
        session = session_of(driver)
        workers = set(driver.named("paralab-worker"))
        for pid in ({driver.pid} | session) - workers:
            os.kill(pid, signal.SIGKILL)
        all_end({driver.pid} | session)
    # The worker died with the node, so nobody was left who could remove the folder.
    for folder in Path(os.environ["TMPDIR"]).glob("paralab-*"):
        session_folder.remove(str(folder))


@pytest.mark.parametrize("source", [REST, LOAD], ids=["rest", "load"])
def test_when_driver_and_node_are_killed_at_once_the_zygote_cleans_up(source: str) -> None:
    with program(source + READY) as driver:
        session = session_of(driver)
        folders = list(Path(os.environ["TMPDIR"]).glob("paralab-*"))
        (node,) = driver.named("paralab-node")
        for pid in (node, driver.pid):
            os.kill(pid, signal.SIGKILL)
        all_end({driver.pid} | session)
        assert [folder.exists() for folder in folders] == [False]


@pytest.mark.parametrize("source", [REST, LOAD], ids=["rest", "load"])
def test_a_dead_zygote_is_replaced(source: str) -> None:
    after = """
paralab.restart_workers()
more = [Counter.remote() for _ in range(3)]
assert paralab.get([one.add.remote(5) for one in more]) == [5, 5, 5]
assert paralab.get([add.remote(n) for n in range(100)]) == list(range(1, 101))
print("went on", flush=True)
os._exit(0)
"""
    with program(source + READY + after) as driver:
        session = session_of(driver)
        for _ in range(2):
            zygotes = driver.named("paralab-zygote")
            for zygote in zygotes:  # a worker carries that name while it is being forked
                with suppress(ProcessLookupError):
                    os.kill(zygote, signal.SIGKILL)
            all_end(set(zygotes))
            deadline = time.monotonic() + 60
            while not driver.named("paralab-zygote"):
                assert time.monotonic() < deadline
        session |= descendants(driver.pid)
        code, out, err = driver.end(line="\n")
        assert (code, out, err) == (0, "went on\n", "")
        all_end(session)


def test_a_zygote_that_dies_while_it_forks(session: Any) -> None:
    @paralab.remote
    class One:
        def pid(self) -> int:
            return os.getpid()

    node = current()._node_process.pid
    for _ in range(3):
        actors = [One.remote() for _ in range(4)]
        for pid in descendants(node):
            if process_name(pid) == "paralab-zygote":
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        pids = paralab.get([actor.pid.remote() for actor in actors], timeout=60)
        assert len(set(pids)) == 4
        del actors


ENDS = {
    "at rest": "",
    "shut down": "paralab.shutdown()",
    "shut down twice": "paralab.shutdown(); paralab.shutdown()",
    "work in flight": "refs = [add.remote(n) for n in range(5000)]",
    "a task that never ends": """
        never = paralab.remote(lambda: threading.Event().wait()).remote()
    """,
    "a stopped worker": """
        os.kill(paralab.get(paralab.remote(lambda: os.getpid()).remote()), signal.SIGSTOP)
    """,
    "a thread in get": """
        never = paralab.remote(lambda: threading.Event().wait()).remote()
        threading.Thread(target=paralab.get, args=(never,), daemon=True).start()
    """,
    "refs in a cycle": "box = [paralab.put(bytes(300_000))]; box.append(box)",
    "an array that looks at the store": """
        import numpy
        array = paralab.get(paralab.put(numpy.arange(100_000)))
    """,
    "sys.exit": 'print("ends", flush=True)\nsys.exit(0)',
}


PATIENT = """
import paralab.process.driver
paralab.process.driver.END_SECONDS = 1_000.0  # who waits in vain for the node is found out
"""


@pytest.mark.parametrize("end", ENDS)
def test_the_interpreter_ends_quickly_and_silently(end: str) -> None:
    with program(PATIENT + REST + dedent(ENDS[end]) + '\nprint("ends", flush=True)\n') as driver:
        assert driver.line() == "ends"
        code, out, err = driver.end()
        assert (code, out, err) == (0, "", "")


def test_an_error_in_the_driver_is_all_that_it_says() -> None:
    with program(REST + "refs = [add.remote(n) for n in range(500)]\n1 / 0\n") as driver:
        code, out, err = driver.end()
        assert (code, out) == (1, "")
        assert err.startswith("Traceback")
        assert err.endswith("ZeroDivisionError: division by zero\n")


# -- shutdown while others wait -------------------------------------------------------------------


@pytest.fixture
def own_session(session: Any) -> Any:
    paralab.shutdown()
    paralab.init(num_cpus=2)
    yield
    paralab.shutdown()
    paralab.init(num_cpus=2)


@pytest.mark.usefixtures("own_session")
def test_shutdown_ends_the_waits_of_other_threads(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    @paralab.remote
    def hold() -> str:
        return open(fifo).read()

    ref = hold.remote()
    ended: list[BaseException] = []
    waits = [
        lambda: paralab.get(ref),
        lambda: paralab.get([ref, ref]),
        lambda: paralab.wait([ref]),
        lambda: paralab.get(ref, timeout=300),
    ]

    def run(wait: Any) -> None:
        try:
            wait()
        except BaseException as error:
            ended.append(error)

    threads = [threading.Thread(target=run, args=(wait,)) for wait in waits]
    for thread in threads:
        thread.start()
    eventually(lambda: len(current().baton._followers) == 3)  # behind the one that leads
    paralab.shutdown()
    for thread in threads:
        thread.join(60)
    assert [type(error) for error in ended] == [RuntimeError] * 4
    assert "was shut down while this call waited" in str(ended[0])


def test_a_failure_ends_the_waits_of_all_threads(session: Any, tmp_path: Path) -> None:
    fifos = [str(tmp_path / "hold"), str(tmp_path / "fail")]
    for fifo in fifos:
        os.mkfifo(fifo)

    @paralab.remote
    def hold(path: str) -> str:
        return open(path).read()

    @paralab.remote
    def fail(path: str) -> None:
        with open(path) as file:
            raise LookupError(file.read())

    refs = [hold.remote(fifos[0]), fail.remote(fifos[1])]
    ended: list[str] = []

    def run() -> None:
        try:
            paralab.get(refs, timeout=300)
        except BaseException as error:
            ended.append(type(error).__name__)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    with open(fifos[1], "w") as file:
        eventually(lambda: len(current().baton._followers) == 3)
        file.write("the cause")
    for thread in threads:
        thread.join(60)
    assert ended == ["TaskError(LookupError)"] * 4
    with open(fifos[0], "w"):
        pass
    paralab.get(refs[0])


# -- threads, children, forks ---------------------------------------------------------------------


@paralab.remote
def double(number: int) -> int:
    return 2 * number


def test_many_threads_of_the_driver(session: Any) -> None:
    wrong: list[Any] = []

    def calls(thread: int) -> None:
        try:
            for number in range(thread * 1000, thread * 1000 + 200):
                if (got := paralab.get(double.remote(number), timeout=90)) != 2 * number:
                    wrong.append((number, got))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=calls, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)


def test_threads_and_children_in_a_task(session: Any) -> None:
    @paralab.remote
    def busy() -> list[Any]:
        results: list[Any] = []
        threads = [
            threading.Thread(target=lambda n=n: results.append(paralab.get(double.remote(n))))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        said = subprocess.run(
            [sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True
        )
        return [*sorted(results), said.stdout]

    assert paralab.get(busy.remote(), timeout=60) == [0, 2, 4, 6, "42\n"]


def test_what_a_dead_worker_started_is_ended(session: Any) -> None:
    @paralab.remote
    class Parent:
        def start(self) -> int:
            self.child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
            return self.child.pid

    parent = Parent.remote()
    child = paralab.get(parent.start.remote())
    paralab.kill(parent)
    assert wait_ended(child)


FORKS = {
    "leaves at once": "os._exit(0)",
    "drops its refs and leaves": "del ref, counter, kept; gc.collect(); os._exit(0)",
    "runs to its end": "gc.collect(); sys.exit(0)",
    "shuts down": "paralab.shutdown(); os._exit(0)",
    "returns": "pass",
    "raises": "1 / 0",
}
FORK_IN_DRIVER = """
import gc
ref = add.remote(10)
child = os.fork()
if not child:
    sys.stderr = open(os.devnull, "w")
    {child}
    sys.exit()
os.waitpid(child, 0)
for n in range(50):
    assert paralab.get([add.remote(n), counter.add.remote(n)]) == [n + 1, n]
assert paralab.get(ref) == 11 and len(paralab.get(kept)) == 300_000
print("fine")
"""
FORK_IN_TASK = """
import gc

@paralab.remote
def fork(kept):
    warnings.simplefilter("ignore")  # Python 3.12 warns of a fork beside threads
    ref = add.remote(10)
    counter = Counter.remote()
    child = os.fork()
    if not child:
        os.close(2)
        {child}
        return "child"
    os.waitpid(child, 0)
    for n in range(50):
        assert paralab.get([add.remote(n), counter.add.remote(n)]) == [n + 1, n]
    assert paralab.get(ref) == 11 and len(kept) == 300_000
    return "parent"

for _ in range(3):
    assert paralab.get(fork.remote(kept)) == "parent"
    assert paralab.get([add.remote(n) for n in range(100)]) == list(range(1, 101))
print("fine")
"""


@pytest.mark.parametrize("child", FORKS)
@pytest.mark.parametrize("where", [FORK_IN_DRIVER, FORK_IN_TASK], ids=["driver", "task"])
def test_a_forked_child_does_not_disturb(where: str, child: str) -> None:
    source = "import warnings; warnings.simplefilter('ignore')\n" + where.format(child=FORKS[child])
    with program(REST + source) as driver:
        assert driver.end() == (0, "fine\n", "")


def test_a_child_of_the_driver_may_have_a_session_of_its_own() -> None:
    source = """
    import multiprocessing, warnings
    warnings.simplefilter("ignore")

    def child(connection):
        connection.send(paralab.is_initialized())
        try:
            paralab.get(kept)
        except ValueError as error:
            connection.send("earlier" if "forked child" in str(error) else str(error))
        connection.send(paralab.get(add.remote(5)))
        paralab.shutdown()

    def main():
        here, there = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=child, args=(there,))
        process.start()
        print(here.recv(), here.recv(), here.recv())
        process.join()
        print(process.exitcode, paralab.get(add.remote(6)), len(paralab.get(kept)))

    main()
    """
    with program(REST + dedent(source)) as driver:
        code, out, err = driver.end()
        assert (code, out.split("\n")[1:], err) == (0, ["0 7 300000", ""], "")
        assert out.startswith("False ")
        assert " 6\n" in out


def test_multiprocessing_in_a_task() -> None:
    source = """
    import warnings
    warnings.simplefilter("ignore")

    @paralab.remote
    def pooled():
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(abs, range(-20, 0))

    for _ in range(2):
        assert sorted(paralab.get(pooled.remote())) == list(range(1, 21))
    print(paralab.get(add.remote(6)))
    """
    with program(REST + dedent(source)) as driver:
        assert driver.end() == (0, "7\n", "")
