"""``experimental.internal_kv``: small values that all processes of a cluster share."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def kv(rt: Any) -> Iterator[Any]:
    """The module, with nothing in the namespace "tests"."""
    module = importlib.import_module(f"{rt.library.__name__}.experimental.internal_kv")
    yield module
    module._internal_kv_del("", del_by_prefix=True, namespace="tests")


def test_put_says_whether_there_was_a_value(kv: Any) -> None:
    assert kv._internal_kv_initialized() is True
    assert kv._internal_kv_put("k", "one", namespace="tests") is False
    assert kv._internal_kv_put(b"k", b"two", namespace=b"tests") is True
    assert kv._internal_kv_get("k", namespace="tests") == b"two"
    assert kv._internal_kv_put("k", "three", overwrite=False, namespace="tests") is True
    assert kv._internal_kv_get("k", namespace="tests") == b"two"
    assert kv._internal_kv_put("new", "four", False, namespace="tests") is False
    assert kv._internal_kv_get("new", namespace="tests") == b"four"


def test_missing_and_empty_values(kv: Any) -> None:
    assert kv._internal_kv_get("none", namespace="tests") is None
    assert kv._internal_kv_exists("none", namespace="tests") is False
    assert kv._internal_kv_put("empty", "", namespace="tests") is False
    assert kv._internal_kv_exists("empty", namespace="tests") is True
    assert kv._internal_kv_get("empty", namespace="tests") == b""


def test_keys_by_prefix(kv: Any) -> None:
    for key in ("a", "ab", "b"):
        kv._internal_kv_put(key, key, namespace="tests")
    assert sorted(kv._internal_kv_list("a", namespace="tests")) == [b"a", b"ab"]
    assert len(kv._internal_kv_list("", namespace="tests")) == 3
    assert kv._internal_kv_del("a", namespace="tests") == 1
    assert kv._internal_kv_del("a", namespace="tests") == 0
    assert kv._internal_kv_del("a", del_by_prefix=True, namespace="tests") == 1
    assert kv._internal_kv_list("", namespace="tests") == [b"b"]


def test_no_namespace_is_one_of_its_own(kv: Any) -> None:
    kv._internal_kv_put("tests-key", "1")
    assert kv._internal_kv_get("tests-key", namespace="tests") is None
    assert kv._internal_kv_del("tests-key") == 1


def test_other_types_are_refused(kv: Any) -> None:
    for arguments in ((1, b"v"), (b"k", 5), (b"k", b"v", 1)):
        with pytest.raises(AssertionError):
            kv._internal_kv_put(*arguments)
    with pytest.raises(AssertionError):
        kv._internal_kv_get(1)


def test_tasks_share_the_table(rt: Any, kv: Any) -> None:
    @rt.remote
    def pass_on() -> Any:
        value = kv._internal_kv_get("from driver", namespace="tests")
        kv._internal_kv_put("from task", value + b"!", namespace="tests")
        return value

    kv._internal_kv_put("from driver", "hello", namespace="tests")
    assert rt.get(pass_on.remote()) == b"hello"
    assert kv._internal_kv_get("from task", namespace="tests") == b"hello!"
