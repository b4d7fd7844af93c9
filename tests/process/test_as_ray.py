"""Programs that say ``import ray``: in the driver, in workers, and in what these start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import paralab

ROOT = str(Path(paralab.__file__).parents[1])
INSTALL = "import paralab\nparalab.install_as_ray()\n"


def run(
    tmp_path: Path, source: str, *options: str, how: str = "as_ray", path: str = ROOT
) -> subprocess.CompletedProcess[str]:
    """Runs a program; ``how`` is "as_ray" (python -m) or "install" (a call)."""
    program = tmp_path / "program.py"
    program.write_text(("" if how == "as_ray" else INSTALL) + dedent(source))
    module = ["-m", "paralab.as_ray"] if how == "as_ray" else []
    return subprocess.run(
        [sys.executable, "-W", "error", *module, str(program), *options],
        capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path,
    )  # fmt: skip


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(params=["as_ray", "install"])
def how(request: pytest.FixtureRequest) -> str:
    """The two ways to the alias."""
    return str(request.param)


def test_it_is_one_tree(tmp_path: Path, how: str) -> None:
    source = """
        import importlib.metadata, importlib.util, sys
        import ray.runtime_context
        from ray.exceptions import RayTaskError as error
        from ray import actor
        import paralab

        assert ray is paralab
        assert sys.modules["ray"] is paralab
        assert ray.runtime_context is paralab.runtime_context
        assert sys.modules["ray.runtime_context"] is sys.modules["paralab.runtime_context"]
        assert paralab.actor.__spec__.name == "paralab.actor"
        assert error is paralab.exceptions.TaskError
        assert importlib.util.find_spec("ray") is not None
        print(ray.__version__, importlib.metadata.version("ray"), error)
        """
    assert said(run(tmp_path, source, how=how)) == [
        "2.60.0 2.60.0 <class 'ray.exceptions.RayTaskError'>"
    ]


def test_workers_and_what_they_start_know_it(tmp_path: Path, how: str) -> None:
    source = """
        import multiprocessing, pickle, subprocess, sys

        def version():
            import ray.exceptions
            return ray.__name__, ray.__version__

        if __name__ == "__main__":
            import ray

            ray.init(num_cpus=1)

            @ray.remote
            def here():
                import sys
                return "ray" in sys.modules, version()

            @ray.remote
            def below():
                code = "import ray.util; print(ray.__name__, ray.__version__)"
                return subprocess.check_output([sys.executable, "-c", code], text=True).strip()

            @ray.remote
            def fail():
                raise ray.exceptions.GetTimeoutError("by hand")

            print(ray.get(here.remote()))
            print(ray.get(below.remote()))
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.apply(version))
            error = ray.exceptions.NodeDiedError("gone")
            print(pickle.dumps(error).count(b"ray.exceptions"), pickle.loads(pickle.dumps(error)))
            try:
                ray.get(fail.remote())
            except TimeoutError as error:
                print(type(error))
                print(repr(error))
        """
    assert said(run(tmp_path, source, how=how)) == [
        "(True, ('paralab', '2.60.0'))",
        "paralab 2.60.0",
        "('paralab', '2.60.0')",
        "1 gone",
        "<class 'ray.exceptions.RayTaskError(GetTimeoutError)'>",
        "RayTaskError(GetTimeoutError)(GetTimeoutError('by hand'))",
    ]


def test_a_program_sees_what_python_gives_it(tmp_path: Path) -> None:
    source = "import sys; print(sys.argv[1:], __name__, sys.path[0], sys.warnoptions)"
    expected = [f"['-x', 'y'] __main__ {tmp_path} ['error']"]
    assert said(run(tmp_path, source, "-x", "y")) == expected
    done = subprocess.run(
        [sys.executable, "-m", "paralab.as_ray", "-c", "import ray; print(ray.__name__)"],
        capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "PYTHONPATH": ROOT},
    )  # fmt: skip
    assert said(done) == ["paralab"]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    source = """
        import ray

        for name in "ray.data", "ray.util.collective.types", "ray.unheard_of":
            try:
                __import__(name)
            except ModuleNotFoundError as error:
                print(error)
        for name in "tune", "unheard_of":
            try:
                getattr(ray, name)
            except AttributeError as error:
                print(error)
        try:
            from ray import serve
        except ImportError as error:
            print(error)
        try:
            from ray import unheard_of
        except ImportError as error:
            print(error)
        """
    lines = said(run(tmp_path, source))
    assert lines[0].startswith("ray.data is not available")
    assert "pandas" in lines[0]
    assert lines[1].startswith("ray.util.collective is not available")
    assert lines[2] == "No module named 'ray.unheard_of'"
    assert lines[3].startswith("ray.tune is not available")
    assert lines[4] == "module 'ray' has no attribute 'unheard_of'"
    assert lines[5].startswith("ray.serve is not available")
    assert lines[6].startswith("cannot import name 'unheard_of'")


def test_where_ray_itself_is_installed_too(tmp_path: Path, how: str) -> None:
    (tmp_path / "real" / "ray").mkdir(parents=True)
    (tmp_path / "real" / "ray" / "__init__.py").write_text("__version__ = 'the real one'\n")
    path = os.pathsep.join([ROOT, str(tmp_path / "real")])
    source = """
        import subprocess, sys
        import ray
        from paralab.as_ray import environment_without_alias, find_real_ray

        child = [sys.executable, "-c", "import ray; print(ray.__version__)"]
        print(ray.__version__)
        print(find_real_ray().origin)
        print(subprocess.check_output(child, text=True).strip())
        print(subprocess.check_output(child, text=True, env=environment_without_alias()).strip())
        """
    real = tmp_path / "real" / "ray" / "__init__.py"
    lines = said(run(tmp_path, source, how=how, path=path))
    assert lines == ["2.60.0", str(real), "2.60.0", "the real one"]


def test_too_late(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("")
    source = """
        import ray, paralab
        try:
            paralab.install_as_ray()
        except RuntimeError as error:
            print(error)
        del __import__("sys").modules["ray"]
        paralab.init(local_mode=True)
        try:
            paralab.install_as_ray()
        except RuntimeError as error:
            print(error)
        paralab.shutdown()
        paralab.install_as_ray()
        print(paralab.__version__)
        """
    program = tmp_path / "late.py"
    program.write_text(dedent(source))
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True, text=True, timeout=100, check=False,
        env={**os.environ, "PYTHONPATH": ROOT},
    )  # fmt: skip
    first, second, third = said(done)
    assert first.startswith(f"Ray itself has been imported already, from {tmp_path / 'ray.py'}")
    assert second.startswith("paralab runs already")
    assert third == "2.60.0"


def test_messages_say_ray(tmp_path: Path) -> None:
    source = """
        import ray
        context = ray.init(num_cpus=1, local_mode=True, include_dashboard=False)
        print(repr(context)[:40])
        try:
            ray.init()
        except RuntimeError as error:
            print(str(error)[:50])
        print(type(ray.put(1)), str(ray.exceptions.ObjectStoreFullError())[-11:])
        """
    assert said(run(tmp_path, source)) == [
        "RayContext(dashboard_url='', python_vers",
        "Maybe you called ray.init twice by accident? This ",
        "<class 'ray.ObjectRef'> ray.init().",
    ]


def test_the_program_ray_is_paralabs(tmp_path: Path, how: str) -> None:
    source = """
        import subprocess
        import ray

        def tell(*words):
            return subprocess.check_output(["ray", *words], text=True)

        @ray.remote
        class Kept:
            pass

        print("node" in tell("start", "--head", "--num-cpus=1"))
        try:
            for space in ("a", "b"):
                with ray.init("ray://localhost:10001", namespace=space):
                    Kept.options(name="kept", lifetime="detached").remote()
            ray.init("127.0.0.1:6379", namespace="a")
            print(ray.util.list_named_actors(all_namespaces=True) != [])
        finally:
            print(tell("stop", "--force").strip())
        """
    assert said(run(tmp_path, source, how=how)) == ["True", "True", "Stopped 1 node."]


def test_the_program_ray_is_found_as_before_without_the_alias(tmp_path: Path, how: str) -> None:
    source = """
        import os
        from paralab.as_ray import COMMAND, environment_without_alias
        import ray

        print(os.environ["PATH"].split(os.pathsep).count(COMMAND))
        print(COMMAND in environment_without_alias()["PATH"])
        """
    assert said(run(tmp_path, source, how=how)) == ["1", "False"]
