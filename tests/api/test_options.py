"""What the options of tasks, actors and methods may be, and what becomes of them."""

from __future__ import annotations

from typing import Any

import pytest

import paralab
from paralab.options import (
    ACTOR,
    METHOD,
    NOT_YET,
    TASK,
    build_actor_options,
    build_method_options,
    build_task_options,
)
from paralab.task_spec import AS_ACTOR

BAD_RESOURCES: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"num_cpus": -1}, ValueError),
    ({"num_cpus": "two"}, TypeError),
    ({"num_cpus": 0.00001}, ValueError),
    ({"num_cpus": float("nan")}, ValueError),
    ({"num_cpus": float("inf")}, ValueError),
    ({"num_gpus": 1.5}, ValueError),
    ({"num_gpus": -0.5}, ValueError),
    ({"memory": -1}, ValueError),
    ({"memory": "1 GB"}, TypeError),
    ({"resources": []}, TypeError),
    ({"resources": {"CPU": 1}}, ValueError),
    ({"resources": {"GPU": 1}}, ValueError),
    ({"resources": {"memory": 1}}, ValueError),
    ({"resources": {"object_store_memory": 1}}, ValueError),
    ({"resources": {"": 1}}, ValueError),
    ({"resources": {1: 1}}, TypeError),
    ({"resources": {"disk": -1}}, ValueError),
    ({"resources": {"disk": "much"}}, TypeError),
    ({"resources": {"disk": 0.00005}}, ValueError),
    ({"name": 1}, TypeError),
    ({"runtime_env": []}, TypeError),
    ({"runtime_env": {"env_vars": {"A": 1}}}, TypeError),
    ({"runtime_env": {"conda": "x"}}, NotImplementedError),
    ({"runtime_env": {"env_var": {}}}, ValueError),
    ({"accelerator_type": 1}, TypeError),
    ({"label_selector": "x"}, TypeError),
    ({"label_selector": {"zone": "in(a"}}, ValueError),
    ({"label_selector": {"zo ne": "a"}}, ValueError),
    ({"label_selector": {"zone": 1}}, TypeError),
    ({"fallback_strategy": [{}]}, ValueError),
    ({"placement_group": "nearby"}, TypeError),
    ({"placement_group_bundle_index": 1, "placement_group": None}, ValueError),
    ({"scheduling_strategy": "RANDOM"}, ValueError),
    ({"scheduling_strategy": 1}, TypeError),
    ({"enable_task_events": 1}, TypeError),
    ({"no_such_option": 1}, ValueError),
    ({"_metadata": {}}, ValueError),
]
BAD_FOR_TASKS: list[tuple[dict[str, Any], type[Exception]]] = [
    *BAD_RESOURCES,
    ({"num_returns": -1}, ValueError),
    ({"num_returns": 1.5}, TypeError),
    ({"num_returns": "many"}, ValueError),
    ({"num_returns": "streaming"}, ValueError),
    ({"num_returns": "dynamic"}, ValueError),
    ({"_generator_backpressure_num_objects": 0}, ValueError),
    ({"_generator_backpressure_num_objects": "some"}, TypeError),
    ({"max_retries": -2}, ValueError),
    ({"max_retries": "often"}, TypeError),
    ({"max_calls": -1}, ValueError),
    ({"retry_exceptions": [1]}, ValueError),
    ({"retry_exceptions": None}, TypeError),
    ({"object_store_memory": 1}, ValueError),
    ({"max_restarts": 1}, ValueError),
]
BAD_FOR_ACTORS: list[tuple[dict[str, Any], type[Exception]]] = [
    *BAD_RESOURCES,
    ({"name": ""}, ValueError),
    ({"namespace": 1}, TypeError),
    ({"lifetime": "long"}, ValueError),
    ({"max_restarts": -2}, ValueError),
    ({"max_concurrency": -1}, ValueError),
    ({"max_concurrency": 1.5}, TypeError),
    ({"max_pending_calls": -2}, ValueError),
    ({"get_if_exists": True}, ValueError),
    ({"num_returns": 2}, ValueError),
    ({"max_retries": 2}, ValueError),
]


def function() -> None: ...


class Class:
    def method(self) -> None: ...


@pytest.mark.parametrize(("options", "error"), BAD_FOR_TASKS, ids=str)
def test_bad_options_of_tasks(options: dict[str, Any], error: type[Exception]) -> None:
    f = paralab.remote(function)
    use: Any
    for use in (lambda: paralab.remote(**options)(function), lambda: f.options(**options)):
        with pytest.raises(error) as caught:
            use()
        assert next(iter(options)) in str(caught.value)


@pytest.mark.parametrize(("options", "error"), BAD_FOR_ACTORS, ids=str)
def test_bad_options_of_actors(options: dict[str, Any], error: type[Exception]) -> None:
    actor_class = paralab.remote(Class)
    use: Any
    for use in (lambda: paralab.remote(**options)(Class), lambda: actor_class.options(**options)):
        with pytest.raises(error) as caught:
            use()
        assert next(iter(options)) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"num_returns": -1}, ValueError),
        ({"num_returns": "a"}, ValueError),
        ({"num_cpus": 1}, ValueError),
        ({"concurrency_group": 3}, TypeError),
    ],
    ids=str,
)
def test_bad_options_of_methods(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(options))):
        paralab.method(**options)(Class.method)


def test_method_takes_keywords_only() -> None:
    with pytest.raises(TypeError):
        paralab.method(2)


def test_options_that_belong_in_the_decorator() -> None:
    f = paralab.remote(max_calls=1)(function)
    with pytest.raises(ValueError, match="max_calls"):
        f.options(max_calls=2)
    assert f.options(num_cpus=2)._options.resources == {"CPU": 20_000}
    with pytest.raises(ValueError, match="concurrency_groups"):
        paralab.remote(Class).options(concurrency_groups={})


def test_errors_name_value_and_expectation() -> None:
    with pytest.raises(TypeError, match=r"keyword 'num_cpus' must be .*'two'; expected 0 or a num"):
        build_task_options({"num_cpus": "two"})
    with pytest.raises(
        ValueError, match=r"resources\['disk'\]=-1: expected 0 or a number >= 0.0001"
    ):
        build_task_options({"resources": {"disk": -1}})


def test_amounts_are_cut_to_four_digits() -> None:
    for given, units in ((1 / 3, 3_333), (0.99999, 9_999), (0.29, 2_900), (2.00001, 20_000)):
        assert build_task_options({"num_cpus": given}).resources == {"CPU": units}


def test_every_row_of_what_is_not_available_belongs_to_a_known_option() -> None:
    assert NOT_YET.keys() <= TASK.keys() | ACTOR.keys() | METHOD.keys()


def test_defaults_of_tasks() -> None:
    options = build_task_options({})
    assert options.resources == {"CPU": 10_000}
    assert (options.num_returns, options.max_retries, options.retry_exceptions) == (1, 3, False)


def test_resources_are_exact_and_zeros_are_left_out() -> None:
    options = build_task_options({"num_cpus": 0.1 + 0.2, "num_gpus": 0, "memory": 10.7})
    assert options.resources == {"CPU": 3_000, "memory": 100_000}
    assert build_task_options({"num_cpus": 0}).resources == {}
    assert build_task_options({"accelerator_type": "A100"}).resources == {
        "CPU": 10_000,
        "accelerator_type:A100": 10,
    }


def test_an_actor_without_resources_needs_a_cpu_only_to_start() -> None:
    options = build_actor_options({"memory": 5})
    assert options.resources == {"memory": 50_000}
    assert options.creation_resources == {"CPU": 10_000, "memory": 50_000}


def test_an_actor_with_resources_holds_them_for_its_life() -> None:
    for given, held in (
        ({"num_cpus": 2}, {"CPU": 20_000}),
        ({"num_cpus": 0}, {}),
        ({"num_gpus": 1}, {"CPU": 10_000, "GPU": 10_000}),
        ({"resources": {"disk": 1}}, {"CPU": 10_000, "disk": 10_000}),
    ):
        options = build_actor_options(given)
        assert options.resources == options.creation_resources == held


def test_what_nobody_reads_yet_is_kept() -> None:
    assert build_task_options({"scheduling_strategy": "SPREAD", "max_calls": 5}).extra == {
        "scheduling_strategy": "SPREAD",
        "max_calls": 5,
    }


def test_methods_retry_as_often_as_max_task_retries_says() -> None:
    assert build_method_options({}).max_retries == AS_ACTOR
    assert build_method_options({"max_task_retries": 0}).max_retries == 0
    options = build_method_options({"max_task_retries": 2, "retry_exceptions": [KeyError]})
    assert (options.max_retries, options.retry_exceptions) == (2, (KeyError,))


@pytest.mark.parametrize(
    ("groups", "error"),
    [
        (["io"], TypeError),
        ({"io": 0}, ValueError),
        ({"": 1}, ValueError),
        ({"io": "2"}, TypeError),
        ({1: 1}, TypeError),
    ],
    ids=str,
)
def test_bad_concurrency_groups(groups: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="concurrency_groups"):
        paralab.remote(concurrency_groups=groups)(Class)


def test_unknown_concurrency_groups() -> None:
    class Grouped:
        @paralab.method(concurrency_group="oi")
        def m(self) -> None: ...

    with pytest.raises(ValueError, match=r"'oi' of Grouped\.m .* Its groups are: io"):
        paralab.remote(concurrency_groups={"io": 2})(Grouped)
