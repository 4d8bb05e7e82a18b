"""Settings, errors, registries and files."""

import pickle
from errno import ENOSPC

import pytest
from pydantic import Field

from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path
from evaluation.metric import METRICS
from evaluation.registry import Registry
from evaluation.settings import Number, Settings, parse_toml


class Example(Settings):
    """Settings to try."""

    size: int = Field(ge=1)
    names: tuple[str, ...] = ()
    value: Number = float("nan")


def test_every_fault_is_listed_with_its_key():
    with pytest.raises(InputError) as caught:
        Example.parse({"size": 0, "nmaes": ["a"]}, "x.toml")
    found, unknown = caught.value.faults
    assert str(found) == "x.toml: 'size' is 0. Input should be greater than or equal to 1."
    assert str(unknown) == "x.toml: unknown key 'nmaes'. Did you mean 'names'?"


def test_a_missing_key_is_named():
    with pytest.raises(InputError, match=r"x\.toml: 'size' is missing\. Add it\."):
        Example.parse({}, "x.toml")


def test_nan_survives_json_as_null():
    text = Example(size=1).model_dump_json()
    assert '"value":null' in text
    assert Example.model_validate_json(text).value != Example.model_validate_json(text).value


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Example(size=1).size = 2


def test_errors_survive_pickling():
    error = InputError(Fault("x", "a", "b", row=1), Fault("y", "c", "d"))
    again = pickle.loads(pickle.dumps(error))
    assert again.faults == error.faults
    assert str(again) == str(error)


def test_an_unknown_plug_in_names_the_nearest_and_all():
    with pytest.raises(InputError, match=r"no metric is called 'aurok'. Did you mean 'auroc'"):
        METRICS.get("aurok")


def test_a_module_without_a_plug_in_is_a_programming_error():
    with pytest.raises(TypeError, match="must define exactly one"):
        Registry("evaluation", "metric", int).get("errors")


@pytest.mark.parametrize("folder", [False, True])
def test_a_failed_write_leaves_nothing(tmp_path, folder):
    def write():
        with atomic_path(tmp_path / "deep" / "x.txt") as partial:
            if folder:
                partial.mkdir()
                (partial / "a").write_text("half")
            else:
                partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert list((tmp_path / "deep").iterdir()) == []


def test_an_error_of_the_system_names_the_file(tmp_path):
    def write():
        with atomic_path(tmp_path / "x.txt"):
            raise OSError(ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        write()
    assert caught.value.filename == str(tmp_path / "x.txt")


def test_a_failed_write_keeps_what_was_there(tmp_path):
    (tmp_path / "x.txt").write_text("whole")

    def write():
        with atomic_path(tmp_path / "x.txt"):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert (tmp_path / "x.txt").read_text() == "whole"


def test_a_secret_is_not_printed():
    from pydantic import SecretStr

    class Secret(Settings):
        key: SecretStr = Field(min_length=16)

    with pytest.raises(InputError) as caught:
        Secret.parse({"key": "hunter2"}, "environment")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("content", [b"a = [" + b"[" * 5000, b"a = " + b"1" * 5000, b"\xff"])
def test_toml_that_cannot_be_read_is_refused(content):
    with pytest.raises(InputError, match="not readable as TOML"):
        parse_toml(content, "x.toml")
    assert parse_toml(b"\xef\xbb\xbfa = 1", "x.toml") == {"a": 1}
