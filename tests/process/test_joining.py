"""``init()`` finds a node that ends before it has let us in, or that lets nobody in."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

import paralab
from paralab import lifecycle
from paralab.process import session_folder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("shutdown_after")]


class EndingNode:
    """It listens as a node does, but closes who has sent the token; after some it ends."""

    def __init__(self, connections: int) -> None:
        self.path, _token, self._listener, self._lock = session_folder.create(stands_alone=True)
        self._listener.setblocking(True)
        self._left = connections
        self._thread = threading.Thread(target=self._close_each)
        self._thread.start()

    def _close_each(self) -> None:
        with contextlib.suppress(OSError):  # it was shut down
            while self._left:
                with self._listener.accept()[0] as connection:
                    connection.recv(session_folder.TOKEN_SIZE, socket.MSG_WAITALL)
                self._left -= 1
        session_folder.remove(self.path)
        self._listener.close()
        session_folder.unlock(self._lock)

    def end(self) -> None:
        with contextlib.suppress(OSError):  # it has ended by itself
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()


@pytest.fixture
def never_lets_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(lifecycle, "JOIN_SECONDS", 0.0)
    node = EndingNode(-1)
    yield session_folder.SCHEME + node.path
    node.end()


def test_a_node_that_ends_meanwhile_is_none() -> None:
    node = EndingNode(2)  # one asks whether it runs, the other would join
    try:
        context = paralab.init()
    finally:
        node.end()
    assert node.path not in context.address_info["address"]
    assert paralab.get(paralab.remote(lambda: 5).remote(), timeout=60) == 5


def test_auto_says_that_there_is_none_any_more() -> None:
    node = EndingNode(2)
    try:
        with pytest.raises(ConnectionError, match="Could not find any running"):
            paralab.init(address="auto")
    finally:
        node.end()


@pytest.mark.parametrize("address", [None, "auto"])
def test_one_that_lets_nobody_in_is_told_with_what_to_do(
    never_lets_in: str, address: str | None
) -> None:
    with pytest.raises(ConnectionError, match=r"nobody in: .*init\(address='local'\)") as told:
        paralab.init(address=address)
    assert never_lets_in in str(told.value)
    assert never_lets_in not in paralab.init(address="local").address_info["address"]


def test_one_that_was_named_is_asked_once(never_lets_in: str) -> None:
    with pytest.raises(ConnectionError, match="has been stopped, or has ended") as told:
        paralab.init(address=never_lets_in)
    assert never_lets_in in str(told.value)
