"""The backend under the name that Ray has for it."""

from __future__ import annotations

from paralab.util.joblib.backend import ParalabBackend as RayBackend

__all__ = ["RayBackend"]
