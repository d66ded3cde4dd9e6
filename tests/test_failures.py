"""What a failure ends, and what the user is told of it."""

import errno
import logging
from pathlib import Path

import pytest

from geoseg.errors import (
    ConfigError,
    DeviceError,
    DiskError,
    GeosegError,
    ModelError,
    OutputError,
    SourceError,
)
from geoseg.failures import begun, exit_code_of, failure_line, naming_the_rest, per_input


class UnknownError(Exception):
    pass


@pytest.mark.parametrize(
    "error",
    [UnknownError("a\nb"), UnknownError(), TypeError("a b"), RecursionError("deep")],
)
def test_whatever_one_input_raises_is_one_line_that_names_it(error):
    lines = []
    with per_input("dir/a.tif", lines.append):
        raise error
    (line,) = lines
    assert line.startswith("dir/a.tif: ")
    assert type(error).__name__ in line
    assert line.endswith("--debug shows where it arose")
    assert "\n" not in line
    assert " ".join(str(error).split()) in line


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_where_memory_lacks_the_line_says_so_and_what_takes_less(error):
    line = failure_line("a.tif", error)
    assert line.startswith(f"a.tif: memory does not suffice ({type(error).__name__}")
    assert "train.crop" in line
    assert "--window" in line


def test_a_path_that_cannot_be_asked_about_is_named_with_the_reason():
    with pytest.raises(OSError, match="too long") as caught:
        Path("a" * 300).is_dir()
    line = failure_line("train", caught.value)
    assert line.startswith(f"train: File name too long ({'a' * 300}); check the path")
    assert "does not know" in failure_line("train", OSError(errno.EIO, "fault", "a"))


def test_geosegs_own_errors_are_in_their_own_words():
    lines = []
    with per_input("a.tif", lines.append):
        raise SourceError("a.tif: is empty;\n copy it again")
    assert lines == ["a.tif: is empty; copy it again"]


def test_where_nothing_is_raised_nothing_is_noted():
    lines = []
    with per_input("a.tif", lines.append):
        pass
    assert lines == []


@pytest.mark.parametrize("error", [DiskError("full"), DeviceError("lost"), KeyboardInterrupt()])
def test_a_fault_of_the_run_and_an_interrupt_pass(error):
    lines = []
    with pytest.raises(type(error)), per_input("a.tif", lines.append):
        raise error
    assert lines == []


def test_faults_of_the_run_are_errors_of_outputs_and_models_too():
    assert issubclass(DiskError, OutputError)
    assert issubclass(DeviceError, ModelError)


def test_a_fault_of_the_run_names_what_failed_before_and_what_is_not_done():
    with pytest.raises(DiskError) as caught, naming_the_rest(["c"], ["a: is damaged"]):
        raise DiskError("out: the disk is full")
    assert str(caught.value).splitlines() == [
        "a: is damaged",
        "out: the disk is full",
        "the run was stopped there; not done: c; the same command continues",
    ]
    with pytest.raises(SourceError, match=r"^other$"), naming_the_rest(["d"]):
        raise SourceError("other")


def test_the_traceback_is_logged(caplog):
    with caplog.at_level(logging.DEBUG, "geoseg"), per_input("a.tif", lambda line: None):
        raise UnknownError("a")
    (record,) = caplog.records
    assert record.getMessage() == "a.tif"
    assert record.exc_info[0] is UnknownError


@pytest.mark.parametrize("error", [GeosegError("a"), UnknownError("a"), OSError(28, "full")])
def test_a_program_ends_with_1_where_something_was_begun_else_with_2(error):
    assert exit_code_of(error) == 2
    with pytest.raises(type(error)) as caught, begun():
        raise error
    assert caught.value is error
    assert exit_code_of(error) == 1


def test_a_refused_config_ends_with_2_wherever_it_is_found():
    with pytest.raises(ConfigError) as caught, begun():
        raise ConfigError("no input can be used")
    assert exit_code_of(caught.value) == 2


def test_a_line_about_an_unknown_error_says_what_came():
    assert "KeyError: 'x'" in failure_line("a.tif", KeyError("x"))
