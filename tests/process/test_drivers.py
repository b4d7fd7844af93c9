"""Several drivers of one node: how they find it, what is each one's own, and who may come in."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually
from program import Program, process_name, program

import paralab
from leak_check import descendants, wait_ended
from paralab.engine import current
from paralab.exceptions import LocalNodeDied
from paralab.process import session_folder
from paralab.process.client import CoreClient
from paralab.process.door import LARGEST_REQUEST, MOST_GUESTS, ask, end_node_at
from paralab.process.session import start_node_alone
from paralab.util import state

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shutdown_after")]

JOINS = """
paralab.init(address=sys.stdin.readline().strip() or None)

@paralab.remote
def facts():
    context = paralab.get_runtime_context()
    return context.get_job_id(), os.getpid(), os.getcwd()
"""


@pytest.fixture
def node() -> Iterator[str]:
    """The address of a node that stands alone."""
    folder = start_node_alone(num_cpus=2, object_store_memory=64 << 20)
    yield session_folder.SCHEME + folder
    with contextlib.suppress(ConnectionError):  # the test has ended it
        end_node_at(folder, 10.0, force=True)


def folder_of(address: str) -> str:
    return address.removeprefix(session_folder.SCHEME)


@pytest.fixture
def here() -> str:
    """The address of this process's own node."""
    context = paralab.init(num_cpus=2)
    return str(context.address_info["address"])


def until(check: Callable[[], Any]) -> None:
    """Asks until ``check()`` is true, where no session is that could be asked in between."""
    deadline = time.monotonic() + 60
    while not check():
        assert time.monotonic() < deadline, check
        time.sleep(0.005)


def tell(driver: Program, line: str) -> None:
    assert driver.process.stdin is not None
    driver.process.stdin.write(line.encode() + b"\n")


# -- finding a node ----------------------------------------------------------------------------


@pytest.mark.parametrize("address", [None, "auto", "the address"])
def test_init_finds_the_node(node: str, address: str | None) -> None:
    context = paralab.init(address=node if address == "the address" else address)
    assert context.address_info["address"] == node
    assert paralab.get(paralab.remote(lambda: 5).remote()) == 5
    assert paralab.cluster_resources()["CPU"] == 2


def test_the_environment_names_it(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with program("print(paralab.init().address_info['address'])") as driver:
        assert driver.line() != here, "that one ends with us: nobody joins it unasked"
        driver.end()
    monkeypatch.setenv("PARALAB_ADDRESS", here)
    with program("print(paralab.init().address_info['address'])") as driver:
        assert driver.line() == here
        driver.end()
    with program("print(paralab.init('local').address_info['address'])") as driver:
        assert driver.line() != here
        driver.end()


def test_auto_finds_the_node_of_another_driver(here: str) -> None:
    with program("print(paralab.init('auto').address_info['address'])") as driver:
        assert driver.line() == here
        driver.end()
    assert paralab.get(paralab.remote(lambda: 6).remote()) == 6


def test_there_is_none() -> None:
    with pytest.raises(ConnectionError, match="Could not find any running"):
        paralab.init(address="auto")
    with pytest.raises(ConnectionError, match="No node listens at unix:/nowhere"):
        paralab.init(address="unix:/nowhere")
    with pytest.raises(ConnectionError, match=r"'10\.0\.0\.1:6379'"):
        paralab.init(address="10.0.0.1:6379")
    with pytest.raises(ValueError, match="another machine"):
        paralab.init(address="ray://10.0.0.1:10001")
    paralab.init(num_cpus=1)


@pytest.mark.parametrize(
    "given", [{"num_cpus": 1}, {"num_gpus": 1}, {"resources": {"x": 1}}, {"num_cpus": 0}]
)
def test_a_running_node_has_its_resources(node: str, given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(ValueError, match=f"existing cluster, {name} must not be provided"):
        paralab.init(**given)
    paralab.init()


# -- what is each driver's own -----------------------------------------------------------------


def test_jobs_are_apart(here: str, tmp_path: Path) -> None:
    facts = paralab.remote(
        lambda: (paralab.get_runtime_context().get_job_id(), os.getpid(), os.getcwd())
    )
    ours = paralab.get(facts.remote())
    source = f"os.chdir({str(tmp_path)!r})\n" + JOINS + "print(*paralab.get(facts.remote()))\n"
    with program(source) as driver:
        tell(driver, here)
        job, pid, folder = driver.line().split()
        assert (job, folder) == ("02000000", str(tmp_path))
        assert ours[0] == paralab.get_runtime_context().get_job_id() == "01000000"
        assert int(pid) != ours[1], "a worker serves one job"
        assert driver.end()[0] == 0
    assert wait_ended(int(pid)), "its workers go with the driver"
    assert paralab.get(facts.remote())[:2] == ours[:2]


HOLDS = (
    JOINS
    + """
@paralab.remote(num_cpus=1)
class Holder:
    def pid(self):
        return os.getpid()

@paralab.remote
def wait_for(path):
    with open(path):
        pass

holder = Holder.remote()
data = paralab.put(bytes(1 << 20))
print(paralab.get(holder.pid.remote()))
task = wait_for.remote(sys.stdin.readline().strip())
print("begun")
paralab.get(task)
"""
)


def test_a_killed_driver_leaves_nothing(here: str, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert ask(folder_of(here), "status")["store"]["objects"] == 0
    with program(HOLDS) as driver:
        tell(driver, here)
        actor = int(driver.line())
        tell(driver, str(fifo))
        assert driver.line() == "begun"
        eventually(lambda: not paralab.available_resources().get("CPU"))
        os.kill(driver.pid, signal.SIGKILL)
        driver.end()
    assert wait_ended(actor)
    eventually(lambda: paralab.available_resources() == paralab.cluster_resources())
    eventually(lambda: ask(folder_of(here), "status")["store"]["objects"] == 0)
    status = ask(folder_of(here), "status")
    assert [job["job_id"] for job in status["jobs"]] == [1]


def test_two_drivers_share_the_resources(node: str) -> None:
    source = JOINS + "print(len(paralab.get([facts.remote() for _ in range(600)])))\n"
    with program(source) as one, program(source) as other:
        for driver in (one, other):
            tell(driver, node)
        assert [one.end()[:2], other.end()[:2]] == [(0, "600\n")] * 2

    def all_is_given_back() -> bool:
        status = ask(folder_of(node), "status")
        return bool(status["available"] == status["total"]) and not status["jobs"]

    until(all_is_given_back)


DETACHED = """
paralab.init(namespace="shared")

@paralab.remote
class Counter:
    def __init__(self):
        self.count = 0

    def add(self):
        self.count += 1
        return self.count

    def child(self):
        job = paralab.remote(lambda: paralab.get_runtime_context().get_job_id())
        return paralab.get(job.remote())

kept = Counter.options(name="kept", lifetime="detached").remote()
lost = Counter.options(name="lost").remote()
print(paralab.get([kept.add.remote(), lost.add.remote()]))
"""


def test_a_detached_actor_outlives_its_driver(node: str) -> None:
    with program(DETACHED) as driver:
        assert driver.end()[:2] == (0, "[1, 1]\n")
    paralab.init(namespace="shared")
    kept = paralab.get_actor("kept")
    assert paralab.get(kept.add.remote()) == 2
    assert paralab.get(kept.child.remote()) == "01000000", "it works on for its own job"
    with pytest.raises(ValueError, match="lost"):
        paralab.get_actor("lost")
    ours = paralab.get_runtime_context().get_job_id()
    assert [(job.job_id, job.status) for job in state.list_jobs()] == [
        ("01000000", "SUCCEEDED"),
        (ours, "RUNNING"),
    ]
    living = state.list_actors(filters=[("state", "=", "ALIVE")])
    assert [(actor.name, actor.job_id) for actor in living] == [("kept", "01000000")]
    paralab.kill(kept)
    paralab.shutdown()
    paralab.init(namespace="another")
    with pytest.raises(ValueError, match="kept"):
        paralab.get_actor("kept", namespace="shared")


def test_what_they_print_is_told_apart(here: str) -> None:
    source = JOINS + (
        "paralab.get(paralab.remote(lambda: (print('theirs'), os.system('echo raw'))).remote())\n"
    )
    with program(source) as driver:
        tell(driver, here)
        _code, out, _err = driver.end()
        assert "theirs" in out
        assert "raw" in out


def test_a_node_that_ends_takes_its_drivers_sessions(node: str) -> None:
    paralab.init(address=node)
    ref = paralab.remote(lambda: time.sleep(100)).remote()
    assert end_node_at(folder_of(node), 10.0, force=False)
    with pytest.raises(paralab.exceptions.LocalNodeDied):
        paralab.get(ref)
    paralab.shutdown()
    paralab.init(num_cpus=1)


# -- the folder and the door -------------------------------------------------------------------


def test_only_its_user_can_enter(here: str) -> None:
    folder = Path(folder_of(here))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"socket": 0o600, "token": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    token = (folder / "token").read_bytes()
    assert len(token) == 32
    for process in (os.getpid(), ask(str(folder), "status")["pid"]):
        for where in ("cmdline", "environ"):
            shown = Path(f"/proc/{process}/{where}").read_bytes()
            assert token not in shown
            assert token.hex().encode() not in shown


def test_a_folder_that_others_can_enter_is_not_trusted(here: str) -> None:
    folder = folder_of(here)
    os.chmod(folder, 0o755)
    with pytest.raises(ConnectionError, match="this user alone"):
        session_folder.connect(folder)
    os.chmod(folder, 0o700)
    if os.geteuid() == 0:
        os.chown(folder, 65534, -1)
        with pytest.raises(ConnectionError, match="this user alone"):
            session_folder.connect(folder)
        os.chown(folder, 0, -1)
    session_folder.connect(folder).close()


def raw(address: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    with paralab.platform.short_path(folder_of(address)) as short:
        sock.connect(short + "/socket")
    return sock


def test_strangers_and_babblers_are_dismissed(here: str) -> None:
    token = (Path(folder_of(here)) / "token").read_bytes()
    size = (10).to_bytes(4, "big")
    for said in (
        bytes(32),
        os.urandom(40),
        token[:-1] + bytes([token[-1] ^ 1]) + size,
        token + bytes(4),
        token + (LARGEST_REQUEST + 1).to_bytes(4, "big"),
        token + size + b"0123456789",
        token + size + b'["driver"]',
        token + (2).to_bytes(4, "big") + b"{}",
    ):
        with raw(here) as sock:
            sock.sendall(said)
            try:
                assert sock.recv(1) == b"", said
            except ConnectionResetError:
                pass  # dismissed before it had heard all
    with raw(here) as sock:  # piece by piece is fine
        text = b'{"what": "status"}'
        for byte in token + len(text).to_bytes(4, "big") + text:
            sock.sendall(bytes([byte]))
        assert sock.recv(1) == b"{"
    assert paralab.get(paralab.remote(lambda: 7).remote()) == 7


def test_silent_guests_keep_nobody_out(here: str) -> None:
    silent = [raw(here) for _ in range(MOST_GUESTS + 8)]
    assert ask(folder_of(here), "status")["workers"] >= 0
    for sock in silent:
        sock.close()


def test_a_long_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long" * 20) / ("longer" * 20)
    long.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(long))
    address = paralab.init(num_cpus=1).address_info["address"]
    assert str(long) in address
    assert ask(folder_of(address), "status")["total"]["CPU"] == 1
    paralab.shutdown()
    assert list(long.iterdir()) == []


FOLDER = """
folder = paralab.init(num_cpus=1).address_info["session_dir"]
print(folder, flush=True)
try:
    paralab.get(paralab.remote(lambda: threading.Event().wait()).remote())
except paralab.exceptions.LocalNodeDied:
    paralab.shutdown()  # the node may have taken its time to end
    print(os.path.exists(folder))
"""


def test_the_driver_removes_the_folder_of_a_killed_node() -> None:
    with program(FOLDER) as driver:
        assert os.path.isdir(driver.line())
        (node,) = driver.named("paralab-node")
        os.kill(node, signal.SIGKILL)
        assert driver.line() == "False"
        assert driver.end()[0] == 0


def test_a_lost_connection_does_not_cost_a_living_node_its_folder(node: str) -> None:
    paralab.init(address=node)
    core = current()
    assert isinstance(core, CoreClient)
    assert core.node.connection is not None
    core.node.connection._socket.shutdown(socket.SHUT_RDWR)
    with pytest.raises(LocalNodeDied):
        paralab.get(paralab.remote(lambda: 5).remote())
    paralab.shutdown()
    paralab.init(address=node)
    assert paralab.get(paralab.remote(lambda: 5).remote()) == 5


def test_the_node_of_a_killed_driver_removes_its_folder() -> None:
    with program(FOLDER) as driver:
        folder = driver.line()
        (node,) = driver.named("paralab-node")
        os.kill(driver.pid, signal.SIGKILL)
        assert wait_ended(node)
        assert not os.path.exists(folder)
        driver.end()


def test_what_nobody_could_remove_is_swept_by_the_next(tmp_path: Path) -> None:
    folder = start_node_alone(num_cpus=1)
    node = ask(folder, "status")["pid"]

    def zygotes() -> list[int]:
        return [pid for pid in descendants(node) if process_name(pid) == "paralab-zygote"]

    until(zygotes)  # it says its name when it begins
    (zygote,) = zygotes()
    os.kill(zygote, signal.SIGSTOP)  # or it would remove the folder
    for pid in (node, zygote):
        os.kill(pid, signal.SIGKILL)
        assert wait_ended(pid)
    assert os.path.exists(folder)
    paralab.init(num_cpus=1)
    assert not os.path.exists(folder)


def left_folder(*, made: float) -> Path:
    """A folder as a node leaves it behind, by a name whose pid is now that of somebody else."""
    name = f"paralab-{os.geteuid()}-{os.getpid()}-0badcafe"
    folder = Path(os.environ["TMPDIR"]) / name
    (folder / "packages").mkdir(parents=True)
    folder.chmod(0o700)
    for file in ("token", "socket", "packages/code.py"):
        (folder / file).touch()
    os.utime(folder, (made, made))
    return folder


def test_a_folder_is_swept_though_its_pid_is_used_again() -> None:
    folder = left_folder(made=time.time())
    assert session_folder.running(on_their_own=False) == []
    assert not folder.exists()


def test_the_folder_of_a_node_that_does_not_listen_yet_is_left_alone() -> None:
    path, _token, listener, lock = session_folder.create(stands_alone=False)
    listener.close()
    past = time.time() - 2 * session_folder.STALE_SECONDS
    os.utime(path, (past, past))
    assert session_folder.running(on_their_own=False) == []
    assert os.path.exists(path)
    session_folder.unlock(lock)
    assert session_folder.running(on_their_own=False) == []
    assert not os.path.exists(path)


def test_without_locks_only_old_folders_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_descriptor: int, _what: int) -> None:
        raise OSError(errno.ENOTSUP, "no locks here")

    monkeypatch.setattr(session_folder.fcntl, "flock", no_locks)
    folder = left_folder(made=time.time())
    assert session_folder.running(on_their_own=False) == []
    assert folder.exists()
    past = time.time() - 2 * session_folder.STALE_SECONDS
    os.utime(folder, (past, past))
    assert session_folder.running(on_their_own=False) == []
    assert not folder.exists()
    path, _token, listener, lock = session_folder.create(stands_alone=False)
    listener.close()
    session_folder.unlock(lock)
    session_folder.remove(path)


# -- the command line --------------------------------------------------------------------------


def command(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "paralab.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_start_status_stop() -> None:
    assert command("stop") == (0, "No node is running.\n")
    assert command("status")[0] == 1
    code, said = command("start", "--head", "--num-cpus", "3", "--resources", '{"disk": 2}')
    assert code == 0, said
    try:
        code, again = command("start", "--head")
        assert code == 1
        assert "runs already" in again
        address = paralab.init().address_info["address"]
        assert address in said
        code, said = command("status")
        assert code == 0
        assert "0 of 3 CPU" in said
        assert "0 of 2 disk" in said
        assert f"job 1: process {os.getpid()}" in said
        paralab.shutdown()
    finally:
        assert command("stop") == (0, "Stopped 1 node.\n")
    assert command("status")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["start"], "--head"),
        (["start", "--head", "--num-cpus", "-1"], "--num-cpus"),
        (["start", "--head", "--resources", "[1]"], "--resources"),
        (["start", "--head", "--resources", '{"CPU": 1}'], "num_cpus"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], said: str) -> None:
    code, text = command(*arguments)
    assert code == 2
    assert said in text


def test_a_node_that_is_gone_before_it_has_let_a_driver_in() -> None:
    mine, theirs = socket.socketpair()
    theirs.close()
    with pytest.raises(LocalNodeDied):
        CoreClient(mine, "driver", lambda *_line: None)


def test_small_values_are_shared_by_all_drivers_and_outlive_them(node: str) -> None:
    put = "kv._internal_kv_put('k', b'\\0 of the first', namespace='n')"
    code = f"from paralab.experimental import internal_kv as kv\nparalab.init({node!r})\n"
    with program(code + f"print({put})\nparalab.shutdown()") as first:
        assert first.line() == "False"
    paralab.init(address=node)
    from paralab.experimental import internal_kv

    assert internal_kv._internal_kv_get("k", namespace="n") == b"\0 of the first"
    paralab.shutdown()
    assert not internal_kv._internal_kv_initialized()
    with pytest.raises(RuntimeError, match="init"):
        internal_kv._internal_kv_get("k")
