"""joblib on paralab: ``register_paralab()``, then ``parallel_config(backend="paralab")``.

joblib itself is imported by these two functions, not before.
"""

from __future__ import annotations

__all__ = ["register_paralab", "register_ray"]


def register_paralab() -> None:
    """Makes "paralab" a backend of joblib, which scikit-learn uses too.

    ::

        register_paralab()
        with joblib.parallel_config(backend="paralab"):
            search.fit(digits.data, digits.target)

    Parameters of the backend: ``inner_max_num_threads``, and ``remote_args``, a dict of options of
    the tasks such as ``{"resources": {"licence": 1}}``.

    Raises:
        ImportError: joblib is not there.
    """
    _register("paralab")


def register_ray() -> None:
    """The same under Ray's name: the backend is called "ray", its options ``ray_remote_args``."""
    _register("ray")


def _register(name: str) -> None:
    import joblib

    from paralab.util.joblib.backend import ParalabBackend

    joblib.register_parallel_backend(name, ParalabBackend)
