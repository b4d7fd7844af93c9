"""Small values under names, which all drivers and workers of a node share.

The node keeps them until they are deleted or it ends, so a driver finds what an earlier one has
left.  Ray keeps facts about itself in the same table; here it is empty until somebody uses it.
Keys, values and namespaces are bytes, or text, which is encoded as UTF-8.
"""

from __future__ import annotations

from typing import Any

from paralab import engine

Text = str | bytes


def _internal_kv_initialized() -> bool:
    """Whether there is a session here."""
    return engine.installed() is not None


def _internal_kv_get(key: Text, *, namespace: Text | None = None) -> bytes | None:
    """The value of ``key``, None if it has none.

    Raises:
        AssertionError: ``key`` is neither text nor bytes; as in Ray.
    """
    value: bytes | None = _ask("get", key, namespace)
    return value


def _internal_kv_exists(key: Text, *, namespace: Text | None = None) -> bool:
    """Whether ``key`` has a value."""
    return _internal_kv_get(key, namespace=namespace) is not None


def _internal_kv_put(
    key: Text, value: Text, overwrite: bool = True, *, namespace: Text | None = None
) -> bool:
    """Gives ``key`` a value; with ``overwrite=False`` only if it has none.

    Returns:
        whether it had one before.

    Raises:
        AssertionError: ``key`` or ``value`` is neither text nor bytes, ``overwrite`` no bool.
    """
    assert isinstance(overwrite, bool), f"overwrite must be a bool, not {overwrite!r}"
    return bool(_ask("put", key, namespace, (_bytes(value, "value"), overwrite)))


def _internal_kv_del(
    key: Text, *, del_by_prefix: bool = False, namespace: Text | None = None
) -> int:
    """Deletes ``key``, or all keys that begin with it; how many there were."""
    return int(_ask("delete", key, namespace, bool(del_by_prefix)))


def _internal_kv_list(prefix: Text, *, namespace: Text | None = None) -> list[bytes]:
    """The keys that begin with ``prefix``."""
    keys: list[bytes] = _ask("list", prefix, namespace)
    return keys


def _ask(what: str, key: Text, namespace: Text | None, more: Any = None) -> Any:
    space = b"" if namespace is None else _bytes(namespace, "namespace")
    key = _bytes(key, "key")
    return engine.current().key_values(what, space, key, more)


def _bytes(text: Text, what: str) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    assert isinstance(data, bytes), f"{what} must be bytes or str, not {type(text).__name__}"
    return data


def __getattr__(name: str) -> Any:
    from paralab.absent import inside

    raise AttributeError(inside(__name__, name))
