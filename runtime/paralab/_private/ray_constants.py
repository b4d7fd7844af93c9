"""The few of Ray's constants that mean something here."""

from __future__ import annotations

from typing import Any

from paralab.id_types import UniqueID

ID_SIZE = len(UniqueID.nil().binary())
DEFAULT_OBJECT_STORE_MEMORY_PROPORTION = 0.3
LOGGER_FORMAT = "%(asctime)s\t%(levelname)s %(filename)s:%(lineno)s -- %(message)s"
RESOURCE_CONSTRAINT_PREFIX = "accelerator_type:"
RAY_ADDRESS_ENVIRONMENT_VARIABLE = "RAY_ADDRESS"
RAY_NAMESPACE_ENVIRONMENT_VARIABLE = "RAY_NAMESPACE"


def __getattr__(name: str) -> Any:
    from paralab.absent import inside

    raise AttributeError(inside(__name__, name))
