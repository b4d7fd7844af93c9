"""A wrong argument raises at once, names itself, and leaves the program usable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

import paralab


@paralab.remote
def double(x: int, y: int = 2) -> int:
    return x * y


def counter_class() -> Any:  # mypy does not know that a decorator changes a class
    @paralab.remote
    class Counter:
        def __init__(self, start: int = 0) -> None:
            self.n = start

        def add(self, n: int) -> int:
            self.n += n
            return self.n

    return Counter


Counter = counter_class()


@pytest.fixture(autouse=True)
def still_usable(engine: str) -> Any:
    yield
    assert paralab.get(double.remote(3)) == 6


@pytest.mark.parametrize("wrong", [1, None, "x", {}, {1: 2}, {1}, b"ref"])
def test_get_of_a_non_ref(wrong: object) -> None:
    with pytest.raises(ValueError, match="ObjectRef") as caught:
        paralab.get(wrong)
    assert type(wrong).__name__ in str(caught.value)


def test_get_of_a_tuple_and_a_generator() -> None:
    ref = double.remote(1)
    with pytest.raises(ValueError, match="tuple"):
        paralab.get((ref,))
    with pytest.raises(ValueError, match="generator"):
        paralab.get(each for each in [ref])


def test_get_of_a_list_that_mixes() -> None:
    with pytest.raises(TypeError, match="element 1 of the list is 'seven' of type str"):
        paralab.get([double.remote(1), "seven"])
    with pytest.raises(TypeError, match="element 0"):
        paralab.get([[double.remote(1)]])


@pytest.mark.parametrize("timeout", [-2, -0.001, float("nan")])
def test_negative_timeout(timeout: float) -> None:
    ref = double.remote(1)
    for call in (paralab.get, paralab.wait):
        with pytest.raises(ValueError, match=f"timeout.*nonnegative.*{timeout}"):
            call([ref], timeout=timeout)


def test_timeout_of_the_wrong_type() -> None:
    ref, soon = double.remote(1), cast("float", "soon")
    for call in (paralab.get, paralab.wait):
        with pytest.raises(TypeError, match="timeout='soon' is of type str"):
            call([ref], timeout=soon)


def test_wait_with_duplicates() -> None:
    ref = double.remote(1)
    with pytest.raises(ValueError, match=f"unique refs; {ref!r}".replace("(", r"\(")[:40]):
        paralab.wait([ref, double.remote(2), ref])


@pytest.mark.parametrize("num_returns", [0, -1, 3])
def test_wait_with_num_returns_out_of_range(num_returns: int) -> None:
    refs = [double.remote(1), double.remote(2)]
    with pytest.raises(ValueError, match=f"num_returns={num_returns} .*1 to 2"):
        paralab.wait(refs, num_returns=num_returns)


def test_wait_with_something_else_than_a_list_of_refs() -> None:
    ref = double.remote(1)
    wrong: Any
    for wrong in (ref, (ref,), {ref}, None, 5):
        with pytest.raises(TypeError, match="list of"):
            paralab.wait(wrong)
    with pytest.raises(TypeError, match=r"element 1 .* is 5 of type int"):
        paralab.wait([ref, 5])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="num_returns='1' is of type str"):
        paralab.wait([ref], num_returns="1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="positional"):
        paralab.wait([ref], 1)  # type: ignore[call-arg]


def test_wait_for_nothing() -> None:
    assert paralab.wait([]) == ([], [])


def test_put_of_a_ref() -> None:
    ref = double.remote(1)
    with pytest.raises(TypeError, match="put it into a list"):
        paralab.put(ref)
    (inner,) = paralab.get(paralab.put([ref]))
    assert inner == ref


@pytest.mark.parametrize("wrong", [5, "x", len, None, [1], double])
def test_remote_on_something_that_is_neither_function_nor_class(wrong: Any) -> None:
    with pytest.raises(TypeError):
        paralab.remote(wrong)
    with pytest.raises(TypeError):
        paralab.remote(num_cpus=1)(wrong)


def test_remote_with_positional_and_keyword_arguments_or_with_none() -> None:
    with pytest.raises(TypeError, match="without parentheses"):
        paralab.remote(len, num_cpus=1)
    with pytest.raises(TypeError, match="without parentheses"):
        paralab.remote()


def test_async_functions_are_refused() -> None:
    async def f() -> None: ...

    with pytest.raises(ValueError, match=r"asyncio\.run"):
        paralab.remote(f)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: double.remote(), "missing a required argument: 'x'"),
        (lambda: double.remote(1, 2, 3), "too many positional arguments"),
        (lambda: double.remote(1, z=2), "unexpected keyword argument 'z'"),
        (lambda: double.remote(1, x=2), "multiple values for argument 'x'"),
        (lambda: Counter.remote(1, 2), "too many positional arguments"),
        (lambda: Counter.remote().add.remote(), "missing a required argument: 'n'"),
        (lambda: Counter.remote().add.remote(1, m=2), "unexpected keyword argument 'm'"),
    ],
)
def test_arguments_that_do_not_fit(call: Callable[[], object], said: str) -> None:
    for _ in range(2):  # the second time from memory
        with pytest.raises(TypeError, match=said):
            call()


def test_calling_directly_says_what_to_write_instead() -> None:
    with pytest.raises(TypeError, match=r"double\.remote\(\)"):
        double(1)
    with pytest.raises(TypeError, match=r"Counter\.remote\(\)"):
        Counter()
    with pytest.raises(TypeError, match=r"object\.add\.remote\(\)"):
        Counter.remote().add(1)


def test_method_that_does_not_exist() -> None:
    counter = Counter.remote()
    with pytest.raises(AttributeError, match=r"Counter has no method 'ad'\. Did you mean add\?"):
        counter.ad.remote(1)
    with pytest.raises(AttributeError, match="Its methods are: add"):
        _ = counter.zzz


def test_options_that_do_not_exist() -> None:
    with pytest.raises(
        ValueError, match=r"num_cpu=1 for .*\. Did you mean num_cpus.*\? Valid ones"
    ):
        double.options(num_cpu=1)
    with pytest.raises(ValueError, match=r"zzz=1 for remote functions\. Valid ones are"):
        double.options(zzz=1)
    with pytest.raises(RuntimeError, match=r"argument\(s\): ncpus\. Did you mean num_cpus"):
        paralab.init(ncpus=2)
    with pytest.raises(RuntimeError, match=r"argument\(s\): zzz\. Known are address, .*num_cpus"):
        paralab.init(zzz=2)


def test_argument_that_cannot_be_pickled(engine: str) -> None:
    if engine == "local":
        pytest.skip("nothing is pickled")
    lock = threading.Lock()
    with pytest.raises(TypeError, match=r"'lock'"):
        double.remote({"lock": lock})
    with pytest.raises(TypeError, match="lock"):
        paralab.put([lock])
    with pytest.raises(TypeError, match="lock"):
        Counter.remote(lock)
    with pytest.raises(TypeError, match="lock"):
        Counter.remote().add.remote(lock)


def test_kill_and_cancel_of_something_else() -> None:
    ref = double.remote(1)
    wrong: Any
    for wrong in (ref, 5, Counter):
        with pytest.raises(ValueError, match="kill"):
            paralab.kill(wrong)
    for wrong in (Counter.remote(), 5):
        with pytest.raises(TypeError, match="cancel"):
            paralab.cancel(wrong)


def test_deriving_from_an_actor_class() -> None:
    with pytest.raises(TypeError, match="Derive from the plain class"):

        class Derived(Counter):  # type: ignore[misc,valid-type]
            pass


def test_exit_actor_outside_of_an_actor() -> None:
    with pytest.raises(TypeError, match="not an actor"):
        paralab.actor.exit_actor()


def test_names_that_name_nothing() -> None:
    wrong: Any
    for wrong in ("", None):
        with pytest.raises(ValueError, match="non-empty value to get_actor"):
            paralab.get_actor(wrong)
    with pytest.raises(TypeError, match=r"get_actor\(name=3\) is of type int"):
        paralab.get_actor(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"get_actor\(namespace=3\) is of type int"):
        paralab.get_actor("someone", namespace=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a valid namespace"):
        paralab.get_actor("someone", namespace="")
    with pytest.raises(ValueError, match=r"actor with name 'nobody'.*namespace than 'mine'"):
        paralab.get_actor("nobody", namespace="mine")
    with pytest.raises(ValueError, match="namespace"):
        Counter.options(name="x", namespace="")
    with pytest.raises(ValueError, match="Actor name cannot be an empty string"):
        Counter.options(name="")
