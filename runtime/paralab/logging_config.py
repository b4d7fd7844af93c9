"""``LoggingConfig``: how log records look, as one object."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from typing import Any

_ENCODINGS = ("TEXT", "JSON")
_RECORD_FIELDS = {
    *vars(logging.LogRecord("", 0, "", 0, "", None, None)), "asctime", "message", "taskName",
}  # fmt: skip


@dataclass
class LoggingConfig:
    """Settings of Python's logging.

    Args:
        encoding: "TEXT" or "JSON".
        log_level: the least severity that is shown, such as "INFO".
        additional_log_standard_attrs: further fields of ``logging.LogRecord`` to show.

    Raises:
        ValueError: the encoding or a field is unknown.
    """

    encoding: str = "TEXT"
    log_level: str = "INFO"
    additional_log_standard_attrs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.encoding not in _ENCODINGS:
            raise ValueError(
                f"Invalid encoding type: {self.encoding}. Valid encoding types are: "
                f"{list(_ENCODINGS)}"
            )
        for name in self.additional_log_standard_attrs:
            if name not in _RECORD_FIELDS:
                raise ValueError(
                    f"Unknown python logging standard attribute: {name}. The valid attributes "
                    f"are: {sorted(_RECORD_FIELDS)}"
                )

    def to_dict(self) -> dict[str, Any]:
        """The settings as a dict."""
        return asdict(self)

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> LoggingConfig:
        """The opposite of :meth:`to_dict`."""
        return cls(**d)
