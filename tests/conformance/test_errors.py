"""Errors of tasks, as Ray's users know them."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

from typing import Any

import pytest


class Special(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@pytest.fixture
def fail(rt: Any) -> Any:
    @rt.remote
    def fail(error: Any) -> None:
        raise error

    return fail


def test_both_the_task_error_and_the_users_class(rt: Any, fail: Any) -> None:
    with pytest.raises(Special) as caught:
        rt.get(fail.remote(Special(4)))
    error: Any = caught.value
    assert isinstance(error, rt.exceptions.RayTaskError)
    assert isinstance(error, rt.exceptions.RayError)
    assert error.code == 4
    assert type(error.cause) is Special
    assert "raise error" in str(error)
    assert "fail" in str(error)
    if rt.engine != "ray":  # which forgets it when it combines the classes
        assert error.pid > 0


def test_each_get_raises(rt: Any, fail: Any) -> None:
    ref = fail.remote(ValueError("again"))
    for _ in range(3):
        with pytest.raises(ValueError, match="again") as caught:
            rt.get(ref)
        assert len(list(caught.traceback)) < 9
    assert rt.wait([ref]) == ([ref], [])


def test_a_chain_through_dependent_tasks(rt: Any, fail: Any) -> None:
    @rt.remote
    def after(value: Any) -> Any:
        return value

    @rt.remote
    def asks(refs: Any) -> Any:
        return rt.get(refs[0])

    for ref in (
        after.remote(after.remote(fail.remote(Special(5)))),
        asks.remote([fail.remote(Special(5))]),
    ):
        with pytest.raises(Special) as caught:
            rt.get(ref)
        assert "fail" in str(caught.value)
        assert "5" in str(caught.value)


NOT_COMPUTED = "At least one of the input arguments for this task could not be computed"


def test_a_failed_input_fails_its_consumer(rt: Any, fail: Any) -> None:
    @rt.remote
    def use(value: Any) -> Any:
        return value

    @rt.remote
    class Holder:
        def __init__(self, value: Any = None) -> None:
            self.value = value

        def take(self, value: Any) -> Any:
            return value

    failed = fail.remote(ValueError("oops"))
    holder = Holder.remote()
    chain = use.remote(use.remote(use.remote(failed)))
    for ref in (use.remote(failed), use.remote(value=failed), holder.take.remote(failed), chain):
        with pytest.raises(ValueError, match="oops") as caught:
            rt.get(ref)
        error: Any = caught.value
        assert type(error).__name__.startswith(rt.exceptions.RayTaskError.__name__)
        assert type(error.cause) is ValueError
        assert NOT_COMPUTED in str(error)
    with pytest.raises(ValueError, match="oops") as caught:
        rt.get(chain)
    assert str(caught.value).count(NOT_COMPUTED) == 3
    assert rt.get(holder.take.remote(2)) == 2


def test_an_input_that_the_runtime_could_not_compute(rt: Any) -> None:
    @rt.remote(max_retries=0)
    def leave() -> None:
        raise SystemExit(3)

    @rt.remote
    def use(value: Any) -> Any:
        return value

    with pytest.raises(rt.exceptions.WorkerCrashedError) as caught:
        rt.get(use.remote(use.remote(leave.remote())))
    error: Any = caught.value
    assert isinstance(error, rt.exceptions.RayTaskError)
    assert type(error.cause) is rt.exceptions.WorkerCrashedError
    assert str(error).count(NOT_COMPUTED) == 2


def test_a_constructor_whose_input_failed(rt: Any, fail: Any) -> None:
    @rt.remote
    class Holder:
        def __init__(self, value: Any) -> None:
            self.value = value

        def get(self) -> Any:
            return self.value

    with pytest.raises(rt.exceptions.ActorDiedError, match="oops") as caught:
        rt.get(Holder.remote(fail.remote(ValueError("oops"))).get.remote())
    assert NOT_COMPUTED in str(caught.value)
    assert "Holder.__init__" in str(caught.value)


def test_all_returns_fail(rt: Any, fail: Any) -> None:
    for ref in fail.options(num_returns=2).remote(KeyError("x")):
        with pytest.raises(KeyError):
            rt.get(ref)


def test_get_of_many_raises_the_first(rt: Any, fail: Any) -> None:
    first = fail.remote(KeyError("first"))
    rt.wait([first])  # or, where the second fails before, it is that one
    with pytest.raises(KeyError, match="first"):
        rt.get([rt.put(1), first, fail.remote(ValueError("second"))])


def test_a_task_can_catch_what_another_raised(rt: Any, fail: Any) -> None:
    @rt.remote
    def careful(refs: Any) -> str:
        try:
            rt.get(refs[0])
        except KeyError as error:
            return f"caught {type(error.cause).__name__}"
        return "nothing"

    assert rt.get(careful.remote([fail.remote(KeyError("x"))])) == "caught KeyError"


def test_groups(rt: Any, fail: Any) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        rt.get(fail.remote(ExceptionGroup("two", [ValueError(1), KeyError(2)])))
    assert len(caught.value.exceptions) == 2


def test_a_task_that_leaves_its_process(rt: Any) -> None:
    @rt.remote(max_retries=0)
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(rt.exceptions.WorkerCrashedError):
        rt.get(leave.remote())


def test_a_result_that_cannot_be_pickled(rt: Any) -> None:
    @rt.remote
    def lock() -> Any:
        import threading

        return threading.Lock()

    if rt.engine == "local":
        pytest.skip("nothing is pickled")
    with pytest.raises(TypeError, match="lock"):
        rt.get(lock.remote())


def test_a_value_that_cannot_be_read(rt: Any) -> None:
    if rt.engine == "local":
        pytest.skip("nothing is pickled")

    def explode() -> None:
        raise LookupError("no such thing here")

    class Unreadable:
        def __reduce__(self) -> Any:
            return explode, ()

    @rt.remote(max_retries=0)
    def make() -> Any:
        return Unreadable()

    @rt.remote(max_retries=0)
    def take(value: Any) -> Any:
        return value

    for ref in (rt.put(Unreadable()), make.remote()):
        with pytest.raises(rt.exceptions.RaySystemError, match="no such thing here"):
            rt.get(ref)
        assert rt.wait([ref]) == ([ref], [])
    with pytest.raises(rt.exceptions.RayTaskError, match="no such thing here") as caught:
        rt.get(take.remote(Unreadable()))
    assert isinstance(caught.value, rt.exceptions.RaySystemError)
    assert rt.get(take.remote(1)) == 1
