"""``LoggingConfig``: how log records look, as one object, in the driver and in all workers."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, field
from typing import Any

from paralab.engine import installed
from paralab.shown_text import shown_name

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


_TEXT = "%(asctime)s\t%(levelname)s %(filename)s:%(lineno)s -- %(message)s"
_CONTEXT = {
    "job_id": "job_id",
    "worker_id": "worker_id",
    "node_id": "node_id",
    "actor_id": "actor_id",
    "task_id": "task_id",
    "task_name": "task_name",
    "task_func_name": "function_name",
    "actor_name": "actor_name",
}
"""What a record is given of the task in which it is made: Ray's name, and the engine's."""


class _Formatter(logging.Formatter):
    """A line of text or JSON, with what is known of the task, and whatever ``extra`` has given."""

    def __init__(self, config: LoggingConfig) -> None:
        super().__init__(_TEXT)
        self._config = config

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            name: getattr(record, name, None) for name in self._config.additional_log_standard_attrs
        }
        given = vars(record).items()
        fields |= {name: value for name, value in given if name not in _RECORD_FIELDS}
        if self._config.encoding == "TEXT":
            line = super().format(record)
            more = (shown_name(f"{name}={value}") for name, value in fields.items())
            return f"{line} {' '.join(more)}"
        shown: dict[str, Any] = {
            "asctime": self.formatTime(record),
            "levelname": record.levelname,
            "message": record.getMessage(),
            "filename": record.filename,
            "lineno": record.lineno,
            "process": record.process,
        }
        if record.exc_info:
            shown["exc_text"] = record.exc_text or self.formatException(record.exc_info)
        return json.dumps(shown | fields, default=str)


def _add_context(record: logging.LogRecord) -> bool:
    engine = installed()
    if engine is not None:
        facts = engine.info("context")
        for name, ours in _CONTEXT.items():
            if facts.get(ours):
                setattr(record, name, facts[ours])
    record.timestamp_ns = int(record.created * 1e9)
    return True


class _Applied:
    """The handler of the last configuration, which the next one replaces."""

    handler: logging.Handler | None = None


def apply(settings: dict[str, Any]) -> None:
    """Configures the root logger of this process, and the library's own, as ``settings`` say."""
    config = LoggingConfig.from_dict(settings)
    handler = logging.StreamHandler()
    handler.setLevel(config.log_level)
    handler.setFormatter(_Formatter(config))
    handler.addFilter(_add_context)
    root, own = logging.getLogger(), logging.getLogger("paralab")
    for logger in (root, own):
        if _Applied.handler is not None:
            logger.removeHandler(_Applied.handler)
        logger.setLevel(config.log_level)
        logger.addHandler(handler)
    own.propagate = False
    _Applied.handler = handler
