"""Environments of tasks and actors, as Ray's guide describes them."""

from __future__ import annotations

import os
from typing import Any

import pytest


@pytest.fixture
def context(rt: Any) -> Any:
    """A remote function that tells variables of its process."""

    def variables(*names: str) -> list[str | None]:
        return [os.environ.get(name) for name in names]

    return rt.remote(variables)


def test_env_vars_of_a_task(rt: Any, context: Any) -> None:
    f = context.options(runtime_env={"env_vars": {"A_VAR": "task"}})
    assert rt.get(f.remote("A_VAR")) == ["task"]
    assert rt.get(context.remote("A_VAR")) == [None]


def test_env_vars_of_a_child_are_merged_with_its_parents(rt: Any, context: Any) -> None:
    def parent() -> Any:
        child = context.options(runtime_env={"env_vars": {"B_VAR": "child"}})
        return rt.get(child.remote("A_VAR", "B_VAR"))

    env = {"env_vars": {"A_VAR": "parent", "B_VAR": "parent"}}
    assert rt.get(rt.remote(parent).options(runtime_env=env).remote()) == ["parent", "child"]


def test_env_vars_of_an_actor(rt: Any) -> None:
    class Actor:
        def variable(self) -> str | None:
            return os.environ.get("A_VAR")

    made = rt.remote(Actor).options(runtime_env={"env_vars": {"A_VAR": "actor"}}).remote()
    assert rt.get(made.variable.remote()) == "actor"


def test_the_context_tells_the_environment(rt: Any) -> None:
    def shown() -> Any:
        return dict(rt.get_runtime_context().runtime_env)

    env = {"env_vars": {"A_VAR": "1"}}
    assert rt.get(rt.remote(shown).options(runtime_env=env).remote())["env_vars"] == {"A_VAR": "1"}


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"env_vars": {"A": 1}}, TypeError, r"runtime_env\['env_vars'\]"),
        ({"env_vars": ["A"]}, TypeError, r"runtime_env\['env_vars'\] must be of type Dict"),
        ({"pip": 3}, TypeError, r"runtime_env\['pip'\] must be of type str or List"),
        ({"pip": {"foo": 1}}, ValueError, "can only have these fields"),
        ({"pip": {"packages": ["a"], "pip_check": 3}}, TypeError, "must be of type bool"),
        ({"pip": "no_such_file.txt"}, ValueError, "is not a valid file"),
        ({"pip": ["a"], "uv": ["b"]}, ValueError, "cannot be specified at the same time"),
        ({"working_dir": "/no/such/folder"}, ValueError, "is not a valid path"),
        ({"working_dir": 3}, TypeError, "`working_dir` must be a string"),
        ({"py_modules": "module"}, TypeError, "`py_modules` must be a list"),
        ({"excludes": "*.log"}, TypeError, r"runtime_env\['excludes'\] must be of type List"),
        ({"config": {"setup_timeout_seconds": 0}}, ValueError, "must be greater than zero"),
        ({"config": {"setup_timeout_seconds": "a"}}, TypeError, "must be of type int"),
    ],
    ids=str,
)
def test_bad_fields(rt: Any, fields: dict[str, Any], error: type[Exception], text: str) -> None:
    from importlib import import_module

    runtime_env = import_module(f"{rt.library.__name__}.runtime_env")
    with pytest.raises(error, match=text):
        runtime_env.RuntimeEnv(**fields)


def test_what_is_checked_is_kept_as_a_dict(rt: Any) -> None:
    from importlib import import_module

    runtime_env = import_module(f"{rt.library.__name__}.runtime_env")
    made = runtime_env.RuntimeEnv(pip=["a", "a"], env_vars={"B": "c"})
    assert isinstance(made, dict)
    assert made["pip"] == {"packages": ["a"], "pip_check": False}
    assert made.env_vars() == {"B": "c"}
    assert made.has_pip()
    assert not made.has_working_dir()
    config = runtime_env.RuntimeEnvConfig(setup_timeout_seconds=10)
    assert config == {"setup_timeout_seconds": 10, "eager_install": True, "log_files": []}
