"""In local mode as well, errors that nobody asks for are told, and no others."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import paralab
from paralab.util.iter import from_range


@pytest.fixture(params=[True, "pickled"])
def local(request: pytest.FixtureRequest, shutdown_after: None) -> None:
    paralab.init(local_mode=request.param, num_cpus=2)


@paralab.remote(max_retries=0)
def fail(text: str) -> None:
    raise ValueError(text)


@paralab.remote
def use(value: Any) -> Any:
    return value


@pytest.mark.usefixtures("local")
def test_all_are_told_at_the_end_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    fail.remote("dropped")
    held = fail.remote("held")
    paralab.shutdown()
    told = capsys.readouterr().err
    begins = "Unhandled error (suppress with 'PARALAB_IGNORE_UNHANDLED_ERRORS=1'): "
    assert told.count(begins) == 2
    dropped = told.index(f"{begins}ValueError: dropped (task fail, line ")
    assert dropped < told.index(f"{begins}ValueError: held (task fail, line ")
    del held
    gc.collect()
    assert capsys.readouterr().err == "", "each is told once"


@pytest.mark.usefixtures("local")
def test_one_that_is_gone_is_told_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    fail.remote("gone")
    gc.collect()
    assert "ValueError: gone (task fail" in capsys.readouterr().err
    paralab.shutdown()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("local")
def test_what_was_seen_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    got, waited, taken = (fail.remote(f"silent {number}") for number in range(3))
    with pytest.raises(ValueError, match="silent 0"):
        paralab.get(got)
    assert paralab.wait([waited])[0] == [waited]
    used = use.remote(taken)
    with pytest.raises(ValueError, match="silent 2"):
        paralab.get(used)
    paralab.shutdown()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("local")
def test_items_that_were_asked_for_ahead_are_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert from_range(4).take(4) == [0, 2, 1, 3]
    gc.collect()
    paralab.shutdown()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("local")
def test_of_a_chain_the_last_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    use.remote(use.remote(fail.remote("at its start")))
    paralab.shutdown()
    told = capsys.readouterr().err
    assert told.count("Unhandled error") == 1
    assert "at its start" in told
    assert "Task use did not run." in told


@pytest.mark.usefixtures("local")
def test_a_constructor_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    @paralab.remote
    class Broken:
        def __init__(self) -> None:
            raise KeyError("broken")

    broken = Broken.remote()
    told = capsys.readouterr().err
    assert told.startswith("Exception raised in creation task: ")
    assert "KeyError: 'broken'" in told
    del broken
    paralab.shutdown()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("local")
def test_the_environment_suppresses_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARALAB_IGNORE_UNHANDLED_ERRORS", "1")
    fail.remote("unheard")
    paralab.shutdown()
    assert capsys.readouterr().err == ""
