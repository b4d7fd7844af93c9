"""Tasks and actors in other languages: there are none, and each name says so."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["cpp_function", "java_actor_class", "java_function"]


def _not_python(name: str, language: str) -> NoReturn:
    raise NotImplementedError(
        f"{name}(): paralab runs Python only; there are no tasks and actors in {language}."
    )


def java_function(class_name: str, function_name: str) -> NoReturn:
    """Raises NotImplementedError: there is no Java here."""
    _not_python("java_function", "Java")


def java_actor_class(class_name: str) -> NoReturn:
    """Raises NotImplementedError: there is no Java here."""
    _not_python("java_actor_class", "Java")


def cpp_function(function_name: str) -> NoReturn:
    """Raises NotImplementedError: there is no C++ here."""
    _not_python("cpp_function", "C++")
