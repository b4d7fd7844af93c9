"""S8: paths where a name is expected, and paths that lead elsewhere where a path is expected.

What is yours to name (a folder for workers, a file for a trace) may be any path of yours.  What is
a name never becomes a path: copies are called by the hash of their contents.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import paralab
from leak_check import names_in
from paralab.cli import main
from paralab.init_options import check_init_options
from paralab.runtime_env import packages
from paralab.runtime_env.cache import cache_folder
from paralab.util import state
from paralab.util.placement_group import placement_group, remove_placement_group

PATHS = (
    "../../../../tmp/evil", "/tmp/evil", "/etc/passwd", "~/evil", "a/../../evil", "./evil", "..",
    ".", "/", "//", "a\0b", "evil\0.py", "socket", "token", "node.log", "*", "a/b/c", "%2e%2e%2f",
    "..\\..\\evil", "file:///etc/passwd", "con", "-rf", " ", "\n", "x" * 5_000,
)  # fmt: skip


def short(path: str) -> str:
    return ascii(path[:20])


each = pytest.mark.parametrize("path", PATHS, ids=short)


@pytest.fixture(scope="module")
def folder(session: Any) -> str:
    return str(session.address_info["session_dir"])


@pytest.fixture(scope="module")
def actor_class() -> Any:
    @paralab.remote(num_cpus=0)
    class Actor:
        def name(self) -> Any:
            return paralab.get_runtime_context().get_actor_name()

    return Actor


@each
def test_names_never_become_paths(folder: str, actor_class: Any, path: str) -> None:
    before = names_in(Path(tempfile.gettempdir())), names_in(Path.cwd() / "tests" / "scorecard")
    actor = actor_class.options(name=path, namespace=path).remote()
    assert paralab.get(actor.name.remote()) == path
    assert paralab.get_actor(path, path) == actor
    paralab.kill(actor)
    paralab.get(paralab.remote(lambda: 0).options(name=path).remote())
    group = placement_group([{"CPU": 1}], name=path)
    paralab.get(group.ready())
    remove_placement_group(group)
    paralab.get(paralab.remote(lambda: 0).options(resources={"node:127.0.0.1": 0.001}).remote())
    after = names_in(Path(tempfile.gettempdir())), names_in(Path.cwd() / "tests" / "scorecard")
    assert (after[0], {n for n in after[1] if "__pycache__" not in n}) == (
        before[0], {n for n in before[1] if "__pycache__" not in n}
    )  # fmt: skip


@each
def test_what_names_a_log_or_a_row(session: Any, path: str) -> None:
    for ask in (state.get_log, state.list_logs):
        with pytest.raises(NotImplementedError, match="no log files"):
            ask(path)
    for find in (state.get_task, state.get_actor, state.get_worker, state.get_node):
        assert find(path, timeout=10) is None


@each
def test_what_names_a_node_for_the_command_line(path: str) -> None:
    for address in (f"unix:{path}", path):
        done = CliRunner().invoke(main, ["status", "--address", address])
        assert done.exit_code == 1
        assert done.output.startswith("Error: ")
        assert not isinstance(done.exception, ValueError)


@pytest.mark.parametrize("field", ["working_dir", "py_modules"])
@pytest.mark.parametrize(
    "path", ["a\0b", "/dev/zero", "/dev/null", "/proc/self/mem", "~nobody/x", "/etc/passwd",
             "../../nowhere", "file:///etc/passwd", "https://example.org/x.zip", "s3://b/x.zip"]
)  # fmt: skip
def test_what_is_no_package(field: str, path: str) -> None:
    value: Any = path if field == "working_dir" else [path]
    with pytest.raises((ValueError, NotImplementedError), match=field):
        paralab.runtime_env.RuntimeEnv(**{field: value})


def test_a_module_needs_a_name() -> None:
    with pytest.raises(ValueError, match="no name to import it by"):
        paralab.runtime_env.RuntimeEnv(py_modules=["/"])


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, str]:
    (tmp_path / "source").mkdir()
    (tmp_path / "session").mkdir()
    return tmp_path / "source", str(tmp_path / "session")


def test_copies_lie_in_the_session_whatever_they_are_called(place: tuple[Path, str]) -> None:
    source, session = place
    for name in ("..evil", "-rf", "evil\n.py", "\udcff", "x" * 200):
        (source / name).write_text("x = 1")
    (source / "up").symlink_to("..")
    (source / "zero").symlink_to("/dev/zero")
    (source / "gone").symlink_to("/nowhere")
    os.mkfifo(source / "pipe")
    link = source.parent / "link"
    link.symlink_to(source)
    outside = names_in(source.parent) | {"session"}
    copies = [
        packages.copy_tree(str(source), session, []),
        packages.copy_tree(str(link), session, []),
        packages.copy_module(str(source), session, []),
        packages.copy_module(str(source / "evil\n.py"), session, []),
    ]
    assert copies[0] == copies[1]
    for copy in copies:
        assert os.path.dirname(copy) == session
        assert set(os.path.basename(copy)) <= set("0123456789abcdef")
    new = names_in(source.parent) - outside
    assert all(name.startswith("session" + os.sep) for name in new)
    kept = set(os.listdir(copies[0]))
    assert {"..evil", "-rf", "evil\n.py", "\udcff"} <= kept
    assert not {"zero", "gone", "pipe"} & kept, "nothing but files and folders is copied"
    assert not any(path.is_symlink() for path in Path(session).rglob("*"))


def test_a_cache_in_which_others_write_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARALAB_CACHE", str(tmp_path))
    folder = cache_folder()
    assert folder.stat().st_mode & 0o077 == 0
    for mode in (0o777, 0o720, 0o702):
        folder.chmod(mode)
        with pytest.raises(PermissionError, match="nobody else may write"):
            cache_folder()
    folder.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(folder, 65534, -1)
        with pytest.raises(PermissionError, match="must belong to you"):
            cache_folder()
        os.chown(folder, 0, -1)


def test_a_folder_that_holds_the_session_is_copied_without_it(place: tuple[Path, str]) -> None:
    source, _session = place
    session = source / "session"
    session.mkdir()
    (session / "token").write_bytes(bytes(32))
    (source / "a.py").write_text("A = 1")
    for copy in (
        packages.copy_tree(str(source), str(session), []),
        packages.copy_module(str(source), str(session), []),
    ):
        assert {path.name for path in Path(copy).rglob("*")} <= {"a.py", "source"}


@pytest.mark.parametrize("name", ["_temp_dir", "object_spilling_directory"])
def test_folders_to_spill_to(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in ("a\0b", "/dev/null/x", str(tmp_path / "file"), "/proc/self/x"):
        with pytest.raises(ValueError, match=name):
            check_init_options({name: path})
    (tmp_path / "link").symlink_to(tmp_path / "other")
    (tmp_path / "other").mkdir()
    options = check_init_options({name: str(tmp_path / "a" / ".." / "other")})
    assert options.spill_folders == (str(tmp_path / "other"),)
    assert sorted(os.listdir(tmp_path)) == ["file", "link", "other"]
    assert os.listdir(tmp_path / "other") == [], "what is spilled has no name"


def test_figures(scorecard: Any) -> None:
    scorecard.figure(
        "S8",
        f"{len(PATHS)} paths as names of 8 kinds: files made outside",
        0,
        short=f"{len(PATHS)} paths: {{}} files outside",
    )
