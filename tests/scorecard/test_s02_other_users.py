"""S2: another user of the machine knocks at the door, and plants folders and sockets."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from intruders import (
    NOBODY,
    answer_to,
    as_somebody_else,
    knocking,
    log_of,
    lone_node,
    node_pid,
    open_temporary_folder,
    token_of,
)

import paralab
from paralab.process import session_folder
from paralab.process.door import ask

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can become another user; the checks by name run anyway"
)
STATUS = b'{"what": "status"}'


@pytest.fixture
def node() -> Iterator[str]:
    with open_temporary_folder(), lone_node() as folder:
        yield folder


def request(token: bytes) -> bytes:
    return token + len(STATUS).to_bytes(4, "big") + STATUS


def test_modes_whatever_the_umask(node: str) -> None:
    before = os.umask(0)
    try:
        with lone_node() as folder:
            found = {path.name: path.stat() for path in Path(folder).iterdir()}
            modes = {name: stat.S_IMODE(each.st_mode) for name, each in found.items()}
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    finally:
        os.umask(before)
    assert {modes[name] for name in ("socket", "token", "node.log")} == {0o600}
    assert {each.st_uid for each in found.values()} == {os.geteuid()}


@needs_root
def test_somebody_else_cannot_come_near(node: str) -> None:
    token = token_of(node)
    assert as_somebody_else(lambda: str(os.listdir(node))) == "PermissionError"
    assert as_somebody_else(lambda: token_of(node).hex()) == "PermissionError"
    assert as_somebody_else(lambda: str(knocking(node))) == "PermissionError"
    assert as_somebody_else(lambda: str(session_folder.running(on_their_own=False))) == "[]"
    assert token_of(node) == token


@needs_root
@pytest.mark.parametrize("knows_the_token", [True, False])
def test_the_kernel_says_who_knocks(node: str, knows_the_token: bool, scorecard: Any) -> None:
    """Even if every mode were wrong and the token were out."""
    token = token_of(node) if knows_the_token else bytes(32)
    shut = {path: path.stat().st_mode & 0o777 for path in (Path(node), *Path(node).parents)}
    os.chmod(f"{node}/socket", 0o666)
    try:
        for path, mode in shut.items():
            if not mode & 0o001:  # the folders of this test run, one in another under xdist
                path.chmod(0o755)
        said = as_somebody_else(lambda: repr(answer_to(node, request(token), whole=False)))
    finally:
        for path, mode in shut.items():
            if not mode & 0o001:
                path.chmod(mode)
    assert said == "b''"
    assert f"of user {NOBODY}" in log_of(node)
    assert answer_to(node, request(token_of(node))).startswith(b'{"node_id"')
    scorecard.figure(
        "S2",
        "connections of another user that were served",
        0,
        peer="Ray: by TCP",
        short="{} served",
    )


def planted(folder: Path, how: str, real: str) -> None:
    if how == "link":
        folder.symlink_to(real)
    elif how == "file":
        folder.write_text("")
    else:
        folder.mkdir(mode=0o755 if how == "open" else 0o700)
        folder.chmod(0o755 if how == "open" else 0o700)
        (folder / "token").write_bytes(bytes(32))
        if how == "owner":
            os.chown(folder, NOBODY, NOBODY)


@pytest.mark.parametrize("how", ["link", "file", "open", pytest.param("owner", marks=needs_root)])
def test_planted_folders_are_refused_by_name(node: str, how: str) -> None:
    folder = Path(tempfile.gettempdir(), f"paralab-{os.geteuid()}-1-{how}")
    planted(folder, how, node)
    try:
        os.utime(folder, (0, 0), follow_symlinks=False)  # as old as what the sweep takes
        with pytest.raises(ConnectionError, match=f"{folder.name} is not a folder that this user"):
            paralab.init(address=f"unix:{folder}")
        assert session_folder.running(on_their_own=False) == [node]
        assert os.path.lexists(folder), "what is not ours is not swept"
    finally:
        if folder.is_dir() and not folder.is_symlink():
            (folder / "token").unlink()
            folder.rmdir()
        else:
            folder.unlink()


@needs_root
def test_somebody_elses_socket_gets_no_token(node: str) -> None:
    """In a folder of ours there is a socket on which another user listens."""
    folder = Path(tempfile.gettempdir(), "ours")
    folder.mkdir(mode=0o700)
    (folder / "token").write_bytes(b"t" * 32)
    listener = socket.socket(socket.AF_UNIX)
    read_end, write_end = os.pipe()

    def listen() -> None:
        listener.bind(str(folder / "socket"))

    def serve() -> str:
        listener.listen()
        os.write(write_end, b"r")
        sock, _ = listener.accept()
        return repr(sock.recv(100))

    import threading

    heard: list[str] = []
    server = threading.Thread(target=lambda: heard.append(as_somebody_else(serve, listen)))
    server.start()
    try:
        assert os.read(read_end, 1) == b"r"
        with pytest.raises(ConnectionError, match="belongs to another user"):
            session_folder.connect(str(folder))
    finally:
        server.join()
        listener.close()
        for end in (read_end, write_end):
            os.close(end)
        session_folder.remove(str(folder))
    assert heard == ["b''"]


@pytest.mark.parametrize("path", ["a\0b", "/", "", "../..", "/dev/null", "/proc/self/root"])
def test_an_address_may_be_anything(path: str) -> None:
    with pytest.raises(ConnectionError):
        session_folder.connect(path)
    with pytest.raises(ConnectionError):
        paralab.init(address=f"unix:{path}")
    assert not paralab.is_initialized()


def test_the_node_serves_its_user_all_the_while(node: str) -> None:
    assert node_pid(node) == ask(node, "status")["pid"]
    paralab.init(address=f"unix:{node}")
    try:
        assert paralab.get(paralab.remote(lambda: os.getuid()).remote()) == os.getuid()
    finally:
        paralab.shutdown()
