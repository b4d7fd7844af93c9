"""The older place of the functions of :mod:`paralab.util.state`."""

from paralab.util.state import *  # noqa: F403
