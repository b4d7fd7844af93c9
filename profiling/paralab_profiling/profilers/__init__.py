"""Profilers on remote work: what ran inside the workers, merged to one result."""

from paralab.profiled import provide as _provide
from paralab_profiling.profilers import inside as _inside
from paralab_profiling.profilers.difference import Change, Difference
from paralab_profiling.profilers.icicle import flame, icicle
from paralab_profiling.profilers.measuring import Profiling, collect, profile
from paralab_profiling.profilers.result import Function, Profile, ProfileError, merge
from paralab_profiling.profilers.sunburst import sunburst
from paralab_profiling.profilers.tree import Frame, Tree, Where

__all__ = [
    "Change",
    "Difference",
    "Frame",
    "Function",
    "Profile",
    "ProfileError",
    "Profiling",
    "Tree",
    "Where",
    "collect",
    "flame",
    "icicle",
    "merge",
    "profile",
    "sunburst",
]

_provide(_inside)
