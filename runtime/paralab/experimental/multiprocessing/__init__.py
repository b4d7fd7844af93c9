"""The older place of :mod:`paralab.util.multiprocessing`."""

from paralab.util.multiprocessing import Pool, TimeoutError  # noqa: A004

__all__ = ["Pool", "TimeoutError"]
