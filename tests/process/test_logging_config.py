"""``init(logging_config=...)``: log records of the driver and of workers, as text and as JSON."""

from __future__ import annotations

import json

import pytest
from program import program

import paralab
from paralab.logging_config import LoggingConfig

pytestmark = pytest.mark.slow

SCRIPT = """
import logging

paralab.init(num_cpus=1, {how})

@paralab.remote
def work():
    logging.getLogger("mine").debug("not shown")
    try:
        1 / 0
    except ZeroDivisionError:
        logging.getLogger("mine").warning("in %s", "a task", exc_info=True, extra={{"step": 3}})
    return paralab.get_runtime_context().get_task_id()

print(paralab.get(work.remote()))
logging.getLogger().info("in the driver")
print(paralab.get_runtime_context().get_job_id())
paralab.shutdown()
"""
SETTINGS = 'paralab.LoggingConfig({!r}, "INFO", ["name"])'


def printed(encoding: str, by_job: bool = False) -> tuple[str, str, str]:
    """The ids of the task and the job, and what the program wrote on its standard error."""
    how, before = f"logging_config={SETTINGS.format(encoding)}", ""
    if by_job:
        how = "job_config=job"
        before = (
            "from paralab.job_config import JobConfig\njob = JobConfig()\n"
            f"job.set_py_logging_config({SETTINGS.format(encoding)})\n"
        )
    with program(before + SCRIPT.format(how=how)) as driver:
        out, err = driver.process.communicate(timeout=100)
    task, job = out.decode().split()
    return task, job, err.decode()


@pytest.mark.parametrize("by_job", [False, True])
def test_json(by_job: bool) -> None:
    task, job, err = printed("JSON", by_job)
    lines = [line[line.index("{") :] for line in err.splitlines() if "{" in line]
    of_task, here = sorted(map(json.loads, lines), key=lambda each: str(each["message"]))
    assert (of_task["levelname"], of_task["name"], of_task["step"]) == ("WARNING", "mine", 3)
    assert (of_task["message"], of_task["task_id"]) == ("in a task", task)
    assert "ZeroDivisionError" in of_task["exc_text"]
    assert (here["message"], here["job_id"]) == ("in the driver", job)
    assert of_task["job_id"] == job
    assert "task_id" not in here


def test_text() -> None:
    task, job, err = printed("TEXT")
    line = next(line for line in err.splitlines() if "in a task" in line)
    assert "WARNING" in line
    assert "ZeroDivisionError: division by zero" in err
    assert "name=mine " in err
    assert f"job_id={job}" in err
    assert f"task_id={task}" in err
    assert "step=3" in err
    assert "not shown" not in err


def test_what_is_no_configuration() -> None:
    with pytest.raises(TypeError, match="logging_config='INFO'"):
        paralab.init(logging_config="INFO")
    with pytest.raises(ValueError, match="log_level='LOUD'"):
        paralab.init(logging_config=LoggingConfig(log_level="LOUD"))
    assert not paralab.is_initialized()
