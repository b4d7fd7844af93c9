"""S3: the token is nowhere but in its file and in the node's memory."""

from __future__ import annotations

import base64
import hmac
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from intruders import answer_to, log_of, lone_node, ours_and_below, token_of
from program import program

from leak_check import descendants
from paralab.process.door import ask

SHOWS = """
import json
from paralab.util import state

context = paralab.init(num_cpus=2)
folder = context.address_info["session_dir"]

@paralab.remote
def fails(*args):
    raise ValueError("no")

@paralab.remote
class Actor:
    def facts(self):
        return dict(os.environ), sys.argv, os.getcwd()

@paralab.remote
def environment():
    return dict(os.environ), sys.argv

actor = Actor.options(name="a").remote()
shown = [repr(context), str(context), context._repr_html_(), repr(dict(context))]
shown += [repr(paralab.get([environment.remote(), actor.facts.remote()]))]
shown += [repr(paralab.get(environment.options(runtime_env={"env_vars": {"X": "1"}}).remote()))]
for break_it in (
    lambda: paralab.get(fails.remote(1)),
    lambda: paralab.init(num_cpus=1),
    lambda: paralab.init(address="unix:" + folder + "x", ignore_reinit_error=False),
    lambda: paralab.get_actor("nobody"),
    lambda: paralab.get(paralab.remote(lambda: os._exit(1)).options(max_retries=0).remote()),
):
    try:
        break_it()
    except Exception as error:
        shown += [str(error), repr(error)]
context = paralab.get_runtime_context()
shown += [repr(actor), repr(fails), context.get_job_id(), context.get_node_id(), context.namespace]
shown += [repr(state.list_tasks(detail=True)), repr(state.list_actors(detail=True))]
shown += [repr(state.list_jobs()), repr(state.list_nodes(detail=True)), repr(paralab.nodes())]
shown += [json.dumps(paralab.timeline(), default=str), repr(state.list_workers(detail=True))]
print(json.dumps({"folder": folder, "shown": shown}), flush=True)
sys.stdin.readline()
"""


def forms(token: bytes) -> list[bytes]:
    """What the token may look like in text."""
    encoded = base64.b64encode(token).rstrip(b"=")
    return [token, token.hex().encode(), encoded, base64.urlsafe_b64encode(token).rstrip(b"="),
            repr(token).encode(), token[:16], token[:16].hex().encode()]  # fmt: skip


def holds(data: bytes, token: bytes) -> bool:
    return any(form in data for form in forms(token))


def told_by_ps(pids: set[int]) -> dict[str, bytes]:
    found = {}
    for pid in pids:
        for where in ("cmdline", "environ", "comm"):
            try:
                found[f"/proc/{pid}/{where}"] = Path(f"/proc/{pid}/{where}").read_bytes()
            except OSError:
                continue
    return found


@pytest.mark.slow
def test_it_is_shown_nowhere(scorecard: Any) -> None:
    with program(SHOWS) as driver:
        said = json.loads(driver.line())
        folder = said["folder"]
        token = token_of(folder)
        assert stat.S_IMODE(os.stat(f"{folder}/token").st_mode) == 0o600
        places = told_by_ps(descendants(driver.pid) | {driver.pid} | ours_and_below())
        places |= {f"shown {n}": text.encode() for n, text in enumerate(said["shown"])}
        places["status"] = json.dumps(ask(folder, "status")).encode()
        for path in Path(folder).rglob("*"):
            if path.is_file() and path.name != "token":
                places[str(path)] = path.read_bytes()
        code, out, err = driver.end(line="\n")
    assert code == 0, err
    places |= {"stdout": out.encode(), "stderr": err.encode()}
    assert len(places) > 30
    assert [where for where, data in places.items() if holds(data, token)] == []
    scorecard.figure(
        "S3",
        f"of {len(places)} places that were searched hold the token",
        0,
        short=f"in {{}} of {len(places)} places",
    )


def test_what_the_node_says_of_wrong_tokens(scorecard: Any) -> None:
    with lone_node() as folder:
        token = token_of(folder)
        wrong = bytes([token[0] ^ 1]) + token[1:]
        assert answer_to(folder, wrong + b"more") == b""
        log = log_of(folder)
        assert "which has no token of ours" in log
        assert not holds(log.encode(), token)
        assert not holds(log.encode(), wrong)


def test_every_node_has_another_one_and_256_bits() -> None:
    with lone_node() as one, lone_node() as other:
        assert len({token_of(one), token_of(other)}) == 2
        assert len(token_of(one)) == 32


def test_it_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from paralab.process.door import Door

    compared = []

    def noted(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr(hmac, "compare_digest", noted)
    door: Any = object.__new__(Door)
    door._token = b"t" * 32
    assert not door._is_token(b"t" * 32)
    assert compared == [(b"t" * 32, b"t" * 32)]
