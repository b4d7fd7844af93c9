"""Tasks, refs and values, as Ray's users know them."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

from typing import Any

import pytest


def test_values_and_refs_positional_and_keyword(rt: Any) -> None:
    @rt.remote
    def f(a: int, b: int = 2, *rest: int, c: int = 0, **more: int) -> Any:
        return a, b, rest, c, more

    one = rt.put(1)
    assert rt.get(f.remote(1)) == (1, 2, (), 0, {})
    assert rt.get(f.remote(one, b=one, c=one, d=one)) == (1, 1, (), 1, {"d": 1})
    assert rt.get(f.remote(1, one, one, 4)) == (1, 1, (1, 4), 0, {})


def test_nested_refs_stay_refs(rt: Any) -> None:
    @rt.remote
    def f(inside: list[Any], named: dict[str, Any]) -> Any:
        return type(inside[0]).__name__, rt.get(inside[0]) + rt.get(named["x"])

    one = rt.put(1)
    assert rt.get(f.remote([one], named={"x": one})) == ("ObjectRef", 2)


def test_num_returns(rt: Any) -> None:
    @rt.remote(num_returns=2)
    def pair(values: Any) -> Any:
        return values

    assert rt.get(pair.remote([1, 2])) == [1, 2]
    assert rt.get(pair.remote("ab")) == ["a", "b"]
    assert rt.get(pair.options(num_returns=1).remote((1, 2, 3))) == (1, 2, 3)
    assert pair.options(num_returns=0).remote(5) is None
    assert len(pair.options(num_returns=3).remote((1, 2, 3))) == 3
    with pytest.raises(ValueError, match="returned 3"):
        rt.get(pair.remote([1, 2, 3]))
    with pytest.raises((TypeError, ValueError)):
        rt.get(pair.remote(7))


def test_num_returns_of_a_generator_is_filled_by_its_items(rt: Any) -> None:
    @rt.remote(num_returns=3)
    def count() -> Any:
        yield from range(3)

    assert rt.get(count.remote()) == [0, 1, 2]


def test_tasks_submit_tasks(rt: Any) -> None:
    @rt.remote
    def leaf(x: int) -> int:
        return x + 1

    @rt.remote
    def branch(x: int) -> Any:
        return rt.get(leaf.remote(x)), leaf.remote(x + 10)

    value, ref = rt.get(branch.remote(1))
    assert value == 2
    assert rt.get(ref) == 12


def test_a_task_may_return_a_ref_and_take_it_again(rt: Any) -> None:
    @rt.remote
    def identity(x: Any) -> Any:
        return x

    ref = rt.get(identity.remote([rt.put("inner")]))[0]
    assert rt.get(identity.remote(ref)) == "inner"


def test_get_of_lists_keeps_order_and_repeats(rt: Any) -> None:
    refs = [rt.put(n) for n in range(5)]
    assert rt.get([refs[3], refs[0], refs[3]]) == [3, 0, 3]
    assert rt.get([]) == []


def test_refs_compare_and_hash_by_object(rt: Any) -> None:
    @rt.remote
    def give_back(refs: Any) -> Any:
        return refs

    ref, other = rt.put(1), rt.put(1)
    (copy,) = rt.get(give_back.remote([ref]))
    assert copy == ref
    assert hash(copy) == hash(ref)
    assert ref != other
    assert {ref, copy, other} == {ref, other}
    assert repr(ref) == f"ObjectRef({ref.hex()})"
    assert len(ref.hex()) == 56
    assert ref.binary().hex() == ref.hex()


def test_wait(rt: Any) -> None:
    refs = [rt.put(n) for n in range(4)]
    ready, others = rt.wait(refs, num_returns=4)
    assert (ready, others) == (refs, [])
    ready, others = rt.wait(refs, num_returns=2)
    assert len(ready) == 2
    assert [ref for ref in refs if ref in ready] + others == sorted(
        refs, key=lambda ref: (ref not in ready, refs.index(ref))
    )
    ready, others = rt.wait(refs, timeout=0)
    assert len(ready) == 1


def test_options_leave_the_function_as_it_is(rt: Any) -> None:
    @rt.remote
    def f() -> Any:
        return 1, 2

    two = f.options(num_returns=2)
    assert rt.get(two.remote()) == [1, 2]
    assert rt.get(f.remote()) == (1, 2)


def test_closures_lambdas_and_methods_of_closures(rt: Any) -> None:
    factor = 3

    def helper(x: int) -> int:
        return x * factor

    @rt.remote
    def f(x: int) -> int:
        return helper(x)

    assert rt.get(f.remote(2)) == 6
    assert rt.get(rt.remote(lambda x: helper(x) + 1).remote(2)) == 7


def test_two_functions_that_call_each_other(rt: Any) -> None:
    @rt.remote
    def even(n: int) -> bool:
        return n == 0 or rt.get(odd.remote(n - 1))

    @rt.remote
    def odd(n: int) -> bool:
        return n != 0 and rt.get(even.remote(n - 1))

    assert rt.get(even.remote(4)) is True
    assert rt.get(odd.remote(4)) is False


def test_a_remote_function_as_an_argument(rt: Any) -> None:
    @rt.remote
    def increment(x: int, by: int = 1) -> int:
        return x + by

    @rt.remote
    def twice(f: Any, x: int) -> int:
        return int(rt.get(f.remote(f.remote(x), by=10)))

    assert rt.get(twice.remote(increment, 1)) == 12


def test_redefinition_is_used(rt: Any) -> None:
    def define(value: int) -> Any:
        @rt.remote
        def f() -> int:
            return value

        return f

    assert [rt.get(define(n).remote()) for n in range(3)] == [0, 1, 2]


def test_retry_exceptions(rt: Any) -> None:
    @rt.remote(num_cpus=0)
    class Tries:
        def __init__(self) -> None:
            self.n = 0

        def count(self) -> int:
            self.n += 1
            return self.n

    @rt.remote(max_retries=3, retry_exceptions=[KeyError])
    def flaky(tries: Any, error: type[Exception]) -> int:
        n: int = rt.get(tries.count.remote())
        if n < 3:
            raise error(n)
        return n

    assert rt.get(flaky.remote(Tries.remote(), KeyError)) == 3
    with pytest.raises(ValueError, match="1"):
        rt.get(flaky.remote(Tries.remote(), ValueError))


def test_the_runtime_context(rt: Any) -> None:
    @rt.remote(num_cpus=0.5)
    def facts() -> Any:
        context = rt.get_runtime_context()
        return (
            context.get_node_id(),
            context.get_job_id(),
            context.get_task_id(),
            context.get_actor_id(),
            context.get_assigned_resources(),
        )

    here = rt.get_runtime_context()
    node, job, task, actor, resources = rt.get(facts.remote())
    assert (node, job) == (here.get_node_id(), here.get_job_id())
    assert len(node) == 56
    assert len(job) == 8
    assert len(task) == 48
    assert actor is None
    assert resources == {"CPU": 0.5}
    assert here.get_task_id() is None


def test_arrays_are_read_only_where_they_are_shared(rt: Any) -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(200_000.0)

    @rt.remote
    def check(array: Any) -> Any:
        return array.flags.writeable, array[::2].copy()

    ref = rt.put(array)
    writeable, half = rt.get(check.remote(ref))
    assert (half == array[::2]).all()
    if rt.engine != "local":
        assert not writeable
        assert not rt.get(ref).flags.writeable


def test_amounts_are_cut_to_four_digits(rt: Any) -> None:
    @rt.remote
    def held() -> Any:
        return rt.get_runtime_context().get_assigned_resources()

    assert rt.get(held.options(num_cpus=1 / 3).remote()) == {"CPU": 0.3333}
    assert rt.get(held.options(num_cpus=0.99999).remote()) == {"CPU": 0.9999}
    with pytest.raises(ValueError, match="num_cpus"):
        held.options(num_cpus=0.00001)


def test_wrong_options_are_named_as_in_ray(rt: Any) -> None:
    def identity(x: Any) -> Any:
        return x

    with pytest.raises(TypeError, match=r"The type of keyword 'num_cpus' must be .*received type"):
        rt.remote(num_cpus="two")(identity)
    with pytest.raises(ValueError, match=r"The keyword 'max_calls' only accepts None, 0 or a posi"):
        rt.remote(max_calls=-1)(identity)
    where_minus_one = "The keyword 'max_retries' only accepts None, 0, -1 or a positive integer"
    with pytest.raises(ValueError, match=where_minus_one):
        rt.remote(max_retries=-2)(identity)
    with pytest.raises(ValueError, match=r"The keyword 'num_returns' only accepts None, a non-neg"):
        rt.remote(num_returns=-1)(identity)


def job_here(rt: Any) -> Any:
    return rt.JobID.from_hex(rt.get_runtime_context().get_job_id())


def test_the_job_of_a_task(rt: Any) -> None:
    @rt.remote
    def jobs() -> Any:
        context = rt.get_runtime_context()
        task_id = rt.TaskID.from_hex(context.get_task_id())
        return task_id.job_id(), rt.put(1).job_id(), rt.JobID.from_hex(context.get_job_id())

    assert set(rt.get(jobs.remote())) == {job_here(rt)}


def test_a_function_goes_by_its_own_name(rt: Any) -> None:
    @rt.remote
    def called() -> Any:
        return rt.get_runtime_context().get_task_name()

    @rt.remote
    def fails() -> None:
        raise RuntimeError("nope")

    assert rt.get(called.remote()) == "called"
    with pytest.raises(RuntimeError, match=r"[ :]fails\b"):
        rt.get(fails.remote())


def test_the_job_of_an_actor(rt: Any) -> None:
    @rt.remote
    class A:
        pass

    assert A.remote()._actor_id.job_id == job_here(rt)
