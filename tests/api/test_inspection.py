"""What of a value does not pickle; serializers of the user's own; small helpers."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest

import paralab
from paralab import util
from paralab.util import annotations as marks
from paralab.util.debug import reset_log_once


class Locked:
    """Does not pickle by itself."""

    def __init__(self, x: int) -> None:
        self.x = x
        self.lock = threading.Lock()


def test_what_pickles() -> None:
    file = io.StringIO()
    assert util.inspect_serializability(1, print_file=file) == (True, set())
    assert "Checking Serializability of 1" in file.getvalue()


def test_what_does_not_pickle() -> None:
    locked = Locked(1)

    def function() -> Any:
        return locked

    file = io.StringIO()
    works, failures = util.inspect_serializability(function, name="f", print_file=file)
    assert not works
    (failure,) = failures
    assert failure.name == "lock"
    assert failure.path == ("f", "locked", "lock")
    assert failure.parent is locked
    assert repr(failure) in file.getvalue()
    assert "!!! FAIL serialization: " in file.getvalue()
    shallow = util.inspect_serializability(function, depth=1, print_file=file)[1]
    assert [each.name for each in shallow] == ["locked"]


def test_cycles_end() -> None:
    one: dict[str, Any] = {"lock": threading.Lock()}
    one["self"] = one
    works, failures = util.inspect_serializability(one, print_file=io.StringIO(), depth=9)
    assert not works
    assert "['lock']" in {each.name for each in failures}


def test_a_serializer_of_ones_own(engine: str) -> None:
    @paralab.remote
    def double(locked: Any) -> int:
        return 2 * locked.x

    util.register_serializer(Locked, serializer=lambda v: v.x, deserializer=Locked)
    try:
        assert paralab.get(double.remote(Locked(4))) == 8
        assert paralab.get(paralab.put([Locked(5)]))[0].x == 5
    finally:
        util.deregister_serializer(Locked)
        util.deregister_serializer(Locked)
    if engine != "local":
        with pytest.raises(TypeError, match="lock"):
            paralab.put(Locked(1))


def test_wrong_serializers() -> None:
    with pytest.raises(TypeError, match="expected a class"):
        util.register_serializer(1, serializer=str, deserializer=str)
    with pytest.raises(TypeError, match="serializer=1"):
        util.register_serializer(Locked, serializer=1, deserializer=str)


def test_log_once() -> None:
    reset_log_once("a")
    assert util.log_once("a")
    assert not util.log_once("a")
    reset_log_once("a")
    assert util.log_once("a")


def test_marks() -> None:
    @marks.PublicAPI
    def plain() -> int:
        """Does something."""
        return 1

    @marks.PublicAPI(stability="beta")
    class Beta:
        """Is something."""

    @marks.Deprecated(message="Use plain.", warning=True)
    def old() -> int:
        return plain()

    assert plain.__doc__ == "Does something."
    assert "beta" in str(Beta.__doc__)
    with pytest.warns(marks.RayDeprecationWarning, match="Use plain"):
        assert old() == 1
    with pytest.raises(AssertionError):
        marks.PublicAPI(stability="unheard")(plain)


def test_names_of_other_worlds() -> None:
    with pytest.raises(NotImplementedError, match="java_function"):
        paralab.java_function("a", "b")
    with pytest.raises(NotImplementedError, match="cpp_function"):
        paralab.cpp_function("f")
    with pytest.raises(NotImplementedError, match="there:10001"):
        paralab.client("ray://there:10001").connect()
    assert repr(paralab.Language.PYTHON) == "PYTHON"
    with pytest.raises(ValueError, match="Invalid encoding type: X"):
        paralab.LoggingConfig(encoding="X")
    with pytest.raises(ValueError, match="must be one of"):
        paralab.job_config.JobConfig(default_actor_lifetime="x")
    assert util.get_node_ip_address() == "127.0.0.1"
