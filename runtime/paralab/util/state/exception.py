"""The errors of ``util.state``."""

from __future__ import annotations


class RayStateApiException(Exception):
    """A question about the state of the session has no answer."""

    def __init__(self, err_msg: str, *args: object) -> None:
        super().__init__(err_msg, *args)


class DataSourceUnavailable(Exception):
    """Whoever knows the answer cannot be reached."""


class ServerUnavailable(RayStateApiException):
    """There is no session to ask."""


class WrongFilterError(RayStateApiException, ValueError):
    """A filter names a field that cannot be filtered by, or gives it a value of a wrong type."""
