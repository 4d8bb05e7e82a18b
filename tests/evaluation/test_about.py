"""What is stated about a model."""

import pytest

from evaluation.about import About
from evaluation.errors import InputError


def test_everything_is_optional():
    assert set(About().model_dump().values()) == {"", ()}


def test_it_is_read_from_toml(tmp_path):
    path = tmp_path / "about.toml"
    path.write_text('name = "Chest"\nkeywords = ["x-ray"]\nevaluation_source = "external"\n')
    about = About.load(path)
    assert (about.name, about.keywords) == ("Chest", ("x-ray",))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('fundin = "x"', "unknown key 'fundin'. Did you mean 'funding'?"),
        ('evaluation_source = "somewhere"', "'evaluation_source' is 'somewhere'"),
        ("version = 2", "'version' is 2"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, line, message):
    path = tmp_path / "about.toml"
    path.write_text(line)
    with pytest.raises(InputError) as caught:
        About.load(path)
    assert message in str(caught.value)
