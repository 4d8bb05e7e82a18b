"""What a job says of a fault names no path of the machine."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.errors import Fault
from service.jobs.telling import roles, tellable, told
from service.settings import ServiceSettings

HOME = Path("/srv/our hospital/home")

NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/data/P7/7.png: cannot be read", "a file of the data: cannot be read"),
        ("it is not there: '/data/my images/7 8.png'", "it is not there: a file of the data"),
        ("there is no '/etc/x' here", "there is no a file of the data here"),
        (f"{HOME}/models/3/audit.json is damaged", "the model version is damaged"),
        (f"{HOME}/jobs/7f/run: another process is here", "the run: another process is here"),
        ("train/validation, see /v1/jobs and https://example.org/a/b", None),
        ("labels 0/1 and sex: female/male", None),
    ],
)
def test_paths_are_told_by_what_lies_there(tmp_path, text, said):
    known = {HOME / "models": "the model version", HOME / "jobs": "the run"}
    assert told(text, known) == (said or text)


@given(st.lists(NAMES, min_size=1, max_size=5), st.sampled_from(["{}", "'{}'", "({})", "{}:"]))
def test_no_part_of_a_path_is_left(parts, around):
    path = "/" + "/".join(parts)
    if not path.startswith(("/v1", "/v2")):
        assert path not in told(f"it cannot read {around.format(path)} again", {})


def test_all_texts_of_a_fault(tmp_path):
    settings = ServiceSettings.read(home=tmp_path)
    path = tmp_path / "uploads" / "7f" / "predictions.csv"
    fault = tellable(Fault(str(path), f"{path} is bad", f"Mend {path}", row=3), roles(settings))
    assert fault == Fault("the upload", "the upload is bad", "Mend the upload", row=3)
