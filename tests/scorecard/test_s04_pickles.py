"""S4: a pickle that would run code comes to the door: nothing is unpickled without the token."""

from __future__ import annotations

import os
import pickle
import struct
import time
from pathlib import Path
from typing import Any

from intruders import answer_to, log_of, lone_node, named_sockets, node_pid, token_of

from leak_check import descendants
from paralab.process.door import COMPLAINT_SECONDS
from paralab.transport.framing import HEADER, MESSAGES, VERSION


class _Canary:
    """Touches a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


def test_it_is_never_unpickled(tmp_path: Path, scorecard: Any) -> None:
    sung = tmp_path / "sung"
    canaries = [pickle.dumps(_Canary(sung), protocol) for protocol in range(6)]
    canaries.append(pickle.dumps([(1, _Canary(sung))], 5))
    attempts = 0
    begun = time.monotonic()
    with lone_node() as folder:
        pid = node_pid(folder)
        network, paths = named_sockets(descendants(os.getpid()))
        assert (network, len(paths)) == ([], 1), "the door is the only listener"
        wrong = bytes([token_of(folder)[0] ^ 1]) + token_of(folder)[1:]
        for canary in canaries:
            frame = HEADER.pack(len(canary), VERSION, MESSAGES, 0, 0, 1, 0, 0) + canary
            size = struct.pack(">I", len(canary))
            for said in (
                canary,
                frame,
                canary * 20,
                wrong + size + canary,
                wrong + frame,
                bytes(32) + size + canary,
                wrong[:-1] + size + canary,
            ):
                assert answer_to(folder, said) == b""
                attempts += 1
            # With the token too, a request is JSON and nothing else.
            assert answer_to(folder, token_of(folder) + size + canary) == b""
            attempts += 1
        assert node_pid(folder) == pid
        most = 1 + (time.monotonic() - begun) // COMPLAINT_SECONDS
        assert 1 <= log_of(folder).count("\n") <= most, "one line, not one for each attempt"
    assert not sung.exists()
    pickle.loads(canaries[-1])
    assert sung.exists(), "or the canary was dead"
    scorecard.figure(
        "S4",
        f"of {attempts} pickles without the token were unpickled",
        0,
        short=f"{{}} of {attempts} unpickled",
    )
