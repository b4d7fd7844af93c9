"""Ctrl-C in the middle of a large put: between ALLOCATE's answer and SEAL, and around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from process_helpers import LARGE, eventually

import paralab
from paralab.engine import current
from paralab.messages import ALLOCATE, SEAL

pytestmark = pytest.mark.usefixtures("session")


@paralab.remote
def size(value: bytes) -> int:
    return len(value)


def put() -> None:
    paralab.put(bytes(LARGE))


def large_argument() -> None:
    size.remote(bytes(LARGE))


def before_the_answer(core: Any, patch: pytest.MonkeyPatch) -> None:
    def ask(kind: int, *question: Any) -> Any:
        assert kind == ALLOCATE
        core.request(lambda: core.node.post((kind, core.questions.next_number(), *question)))
        raise KeyboardInterrupt

    patch.setattr(core, "ask", ask)


def before_the_question(core: Any, patch: pytest.MonkeyPatch) -> None:
    def ask(_kind: int, *_question: Any) -> Any:
        raise KeyboardInterrupt

    patch.setattr(core, "ask", ask)


def after_the_answer(core: Any, patch: pytest.MonkeyPatch) -> None:
    def ask(kind: int, *question: Any) -> Any:
        core.questions.ask(kind, *question)
        raise KeyboardInterrupt

    patch.setattr(core, "ask", ask)


def while_it_is_copied(core: Any, patch: pytest.MonkeyPatch) -> None:
    write = core.mapping.write

    def interrupted(offset: int, part: Any) -> None:
        write(offset, part)
        raise KeyboardInterrupt

    patch.setattr(core.mapping, "write", interrupted)


def after_it_is_sealed(core: Any, patch: pytest.MonkeyPatch) -> None:
    def post(message: tuple[Any, ...]) -> None:
        core.node.post(message)
        if message[0] == SEAL:
            raise KeyboardInterrupt

    patch.setattr(core, "post_node", post)


@pytest.mark.parametrize(
    "when",
    [
        *(before_the_question, before_the_answer, after_the_answer),
        *(while_it_is_copied, after_it_is_sealed),
    ],
)
@pytest.mark.parametrize("what", [put, large_argument])
def test_the_room_is_free_again(
    what: Callable[[], None], when: Callable[[Any, Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    core: Any = current()
    eventually(lambda: core.info("store")["used"] == 0)
    with monkeypatch.context() as patch:
        when(core, patch)
        with pytest.raises(KeyboardInterrupt):
            what()
    eventually(lambda: core.info("store")["used"] == 0)
    assert core.info("store")["objects"] == 0
    assert paralab.get(size.remote(paralab.put(bytes(LARGE)))) == LARGE
