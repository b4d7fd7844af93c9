"""Functions and classes of other languages, under the name that Ray gives this module."""

from __future__ import annotations

from paralab.other_languages import cpp_function, java_actor_class, java_function

__all__ = ["cpp_function", "java_actor_class", "java_function"]
