"""The installed cloudpickle, where Ray's users find theirs.

Refs may be in what is pickled; their objects then stay for as long as their owner lives.
"""

from __future__ import annotations

from pickle import load, loads

from cloudpickle import (
    CloudPickler,
    dump,
    dumps,
    register_pickle_by_value,
    unregister_pickle_by_value,
)

__all__ = [
    "CloudPickler",
    "dump",
    "dumps",
    "load",
    "loads",
    "register_pickle_by_value",
    "unregister_pickle_by_value",
]
