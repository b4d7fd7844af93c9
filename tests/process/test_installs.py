"""Packages of an environment: installed once, kept for later sessions, never half."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually, make_wheel
from program import all_end, program

import paralab
from leak_check import LeakCheck, descendants
from paralab.exceptions import RuntimeEnvSetupError
from paralab.runtime_env.cache import clean

pytestmark = pytest.mark.slow
CALLS = 4


@paralab.remote
def look(function: Callable[[], Any]) -> Any:
    return function()


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels, from which alone is installed."""
    folder = tmp_path_factory.mktemp("wheels")
    for version in ("1.0", "2.0"):
        make_wheel(folder, "tiny-thing", version, f"VERSION = {version!r}\n")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's cache, for all tests of this module."""
    before = os.environ.get("PARALAB_CACHE")
    folder = tmp_path_factory.mktemp("cache")
    os.environ["PARALAB_CACHE"] = str(folder)
    (folder / "environments").mkdir(0o700)
    yield folder / "environments"
    del os.environ["PARALAB_CACHE"]
    if before is not None:
        os.environ["PARALAB_CACHE"] = before


@pytest.fixture(scope="module")
def running(cache: Path, leak_check: LeakCheck, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A session that uses this cache."""
    with leak_check.postponed(request.node.nodeid):
        paralab.init(num_cpus=2)
        yield cache
        paralab.shutdown()


def pip(wheels: Path, *packages: str, **more: Any) -> dict[str, Any]:
    options = ["--no-index", "--find-links", str(wheels)]
    return {"pip": {"packages": list(packages), "pip_install_options": options}, **more}


def thing() -> tuple[str, str]:
    import tiny_thing  # type: ignore[import-not-found]

    return tiny_thing.VERSION, sys.prefix


def builders() -> list[int]:
    """Processes below this one that build environments, and what they run."""
    found = []
    for pid in descendants(os.getpid()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"runtime_env.build" in command or b"pip\0install" in command:
            found.append(pid)
    return found


def is_read(fifo: Path) -> bool:
    """Whether a process has it open for reading; one that was killed may take its time."""
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def test_packages_are_installed_once_for_all_who_ask(running: Path, wheels: Path) -> None:
    refs = [
        look.options(runtime_env=pip(wheels, "tiny-thing==1.0")).remote(thing) for _ in range(CALLS)
    ]
    assert not paralab.get(look.remote(lambda: "tiny_thing" in sys.modules)), "others go on"
    found = set(paralab.get(refs))
    assert [version for version, _prefix in found] == ["1.0"]
    assert [path.name for path in running.iterdir() if path.is_dir()] == [
        Path(prefix).name for _version, prefix in found
    ]
    with pytest.raises(ModuleNotFoundError):
        paralab.get(look.remote(thing))


def test_the_drivers_packages_are_there_too(running: Path, wheels: Path) -> None:
    def both() -> Any:
        import hypothesis
        import tiny_thing

        code = "import paralab, hypothesis, tiny_thing; print(tiny_thing.VERSION)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return hypothesis.__version__ != "", tiny_thing.VERSION, done.stdout.decode().strip()

    class Actor:
        def both(self) -> Any:
            return both()

    env = pip(wheels, "tiny-thing==1.0")
    actor = paralab.remote(Actor).options(runtime_env=env).remote()
    assert paralab.get(actor.both.remote()) == (True, "1.0", "1.0")


def test_a_package_that_is_not_there_says_so_in_pips_words(running: Path, wheels: Path) -> None:
    env = pip(wheels, "no-such-thing==1.0")
    for ref in [look.options(runtime_env=env).remote(thing) for _ in range(2)]:
        with pytest.raises(RuntimeEnvSetupError, match="No matching distribution") as caught:
            paralab.get(ref)
        assert "no-such-thing==1.0" in str(caught.value)

    class Actor:
        def method(self) -> None: ...

    actor = paralab.remote(Actor).options(runtime_env=env).remote()
    with pytest.raises(RuntimeEnvSetupError, match="No matching distribution"):
        paralab.get(actor.method.remote())
    make_wheel(wheels, "no-such-thing", "1.0", "")
    env = pip(wheels, "no-such-thing==1.0")
    assert paralab.get(look.options(runtime_env=env).remote(lambda: 1)) == 1, "it is tried again"


@pytest.mark.skipif(
    not any(os.access(f"{folder}/uv", os.X_OK) for folder in os.get_exec_path()), reason="no uv"
)
def test_uv_installs_the_same(running: Path, wheels: Path) -> None:
    options = ["--no-index", "--find-links", str(wheels)]
    env = {"uv": {"packages": ["tiny-thing==2.0"], "uv_pip_install_options": options}}
    assert paralab.get(look.options(runtime_env=env).remote(thing))[0] == "2.0"


def test_setting_up_may_take_only_so_long(running: Path, wheels: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never")
    env = pip(wheels, f"-r {tmp_path}/never", config={"setup_timeout_seconds": 1})
    with pytest.raises(RuntimeEnvSetupError, match="setup_timeout_seconds=1"):
        paralab.get(look.options(runtime_env=env).remote(thing))
    eventually(lambda: not builders())


def test_a_killed_builder_leaves_nothing_that_is_taken_for_whole(
    running: Path, wheels: Path, tmp_path: Path
) -> None:
    fifo = tmp_path / "requirements"
    os.mkfifo(fifo)
    before = {path for path in running.iterdir() if (path / "ready").exists()}
    f = look.options(runtime_env=pip(wheels, f"-r {fifo}"))
    ref = f.remote(thing)
    with open(fifo, "w"):  # pip has it open: it is in the middle
        (builder,) = [pid for pid in builders() if os.getpgid(pid) == pid]
        os.kill(builder, 9)
        with pytest.raises(RuntimeEnvSetupError, match="ended with code -9"):
            paralab.get(ref)
    eventually(lambda: not is_read(fifo))
    assert {path for path in running.iterdir() if (path / "ready").exists()} == before
    ref = f.remote(thing)
    fifo.write_text("tiny-thing==2.0\n")
    assert paralab.get(ref)[0] == "2.0"


def test_what_was_built_serves_the_next_session(
    running: Path, wheels: Path, tmp_path: Path
) -> None:
    # Built by this test, if it is the first that runs here.
    paralab.get(look.options(runtime_env=pip(wheels, "tiny-thing==1.0")).remote(thing))
    code = f"""
    env = {pip(wheels, "tiny-thing==1.0")!r}
    paralab.init(num_cpus=1, runtime_env=env)
    def version():
        import tiny_thing
        return tiny_thing.VERSION
    print(paralab.get(paralab.remote(version).remote()), flush=True)
    """
    built = {path: (path / "ready").stat().st_mtime_ns for path in running.glob("*/")}
    with program(code) as driver:
        assert driver.line() == "1.0"
        driver.end()
    assert {path: (path / "ready").stat().st_mtime_ns for path in running.glob("*/")} == built


def test_what_a_node_uses_is_not_removed(running: Path, wheels: Path) -> None:
    f = look.options(runtime_env=pip(wheels, "tiny-thing==1.0"))
    home = Path(paralab.get(f.remote(lambda: sys.prefix)))
    assert home.parent == running
    os.utime(home.with_suffix(".lock"), (0, 0))
    assert home.name not in clean(running)
    assert home.exists()


def test_a_killed_node_takes_its_installers_along(
    cache: Path, wheels: Path, tmp_path: Path
) -> None:
    fifo = tmp_path / "requirements"
    os.mkfifo(fifo)
    code = f"""
    paralab.init(num_cpus=1)
    f = paralab.remote(lambda: 1).options(runtime_env={pip(wheels, f"-r {fifo}")!r})
    ref = f.remote()
    print("submitted", flush=True)
    sys.stdin.readline()
    """
    with program(code) as driver:
        assert driver.line() == "submitted"
        with open(fifo, "w"):
            below = descendants(driver.pid)
            (node,) = driver.named("paralab-node")
            os.kill(node, 9)
            all_end(below)
    fifo.unlink()
    fifo.write_text("tiny-thing==2.0")
    with program(
        code.replace('print("submitted", flush=True)', "print(paralab.get(ref))")
    ) as driver:
        assert driver.line() == "1"
        driver.end()
