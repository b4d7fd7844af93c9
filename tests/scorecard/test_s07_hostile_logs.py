"""S7, where it is written down: the node's log, and what it says of itself at a terminal."""

from __future__ import annotations

import json
import time

from hostile import PAYLOADS, acts
from intruders import log_of, lone_node
from program import program

import paralab
from paralab.process.door import ask


def test_a_detached_actors_prints_in_the_nodes_log() -> None:
    with lone_node() as folder:
        paralab.init(address=f"unix:{folder}", log_to_driver=False)
        try:

            @paralab.remote(lifetime="detached", name="a", namespace="n")
            class Actor:
                def __repr__(self) -> str:
                    return "\x1b[2J\nevil"

                def say(self, text: str) -> None:
                    print(text)  # noqa: T201

            paralab.get(Actor.remote().say.remote("at first"))
        finally:
            paralab.shutdown()
        paralab.init(address=f"unix:{folder}", namespace="n")
        try:
            paralab.get(paralab.get_actor("a").say.remote("one\n\x1b]0;title\x07two"))
        finally:
            paralab.shutdown()
        deadline = time.monotonic() + 60
        # It is on its way to the node, and so is the driver's leave.
        while "two" not in log_of(folder) or ask(folder, "status")["jobs"]:
            assert time.monotonic() < deadline
        log = log_of(folder)
    assert acts(log) == []
    assert {line.partition(" pid=")[0] for line in log.splitlines()} == {
        "(\N{REPLACEMENT CHARACTER}[2J evil"
    }
    assert len(log.splitlines()) == 2


def test_a_request_that_cannot_be_met() -> None:
    source = """
    import json
    paralab.init(num_cpus=1)
    names = json.loads(sys.stdin.readline())
    refs = []
    for name in names:
        f = paralab.remote(lambda: None)
        refs.append(f.options(name=name, resources={name: 1}).remote())
    paralab.wait(refs, timeout=0.5)
    for _ in range(3):  # when it answers, it has decided before, and has said so
        paralab.available_resources()
    """
    short = [payload[:3_000] for payload in PAYLOADS if "\ud800" not in payload]
    with program(source) as driver:
        code, out, err = driver.end(line=json.dumps(short) + "\n")
    assert (code, out) == (0, ""), err
    assert acts(err) == []
    lines = [line for line in err.splitlines() if line]
    assert lines
    assert all(line.startswith(("paralab: ", "(")) for line in lines), lines
