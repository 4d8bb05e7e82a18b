"""Embeddings: checked as strictly as predictions, since a silent NaN would pass a gate."""

import numpy as np
import pandas as pd
import pytest

from evaluation.embeddings import Embeddings
from evaluation.errors import InputError


def table(**changes):
    rows = {"sample": ["a", "b", "c"], "content_0": [0.1, 0.2, 0.3], "style_0": [1.0, 2.0, 3.0]}
    return pd.DataFrame(rows | changes)


def test_codes_come_in_the_order_asked_for():
    codes = Embeddings.from_table(table()).of(pd.Series(["c", "a"]))
    assert codes["content"].tolist() == [[0.3], [0.1]]
    assert codes["style"].tolist() == [[3.0], [1.0]]


def test_numbers_may_be_text_and_ids_numbers():
    found = Embeddings.from_table(table(sample=[1, 2, 3], content_0=["0.1", "0.2", "0.3"]))
    assert found.of(pd.Series(["2"]))["content"].tolist() == [[0.2]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": ["a", "a", "c"]}, "row 2, column sample: 1 ids are missing or occur twice"),
        ({"sample": ["a", None, "c"]}, "row 2, column sample"),
        ({"content_0": [0.1, np.nan, 0.3]}, "row 2, column content_0: 1 values are not finite"),
        ({"style_0": [0.1, np.inf, np.nan]}, "row 2, column style_0: 2 values"),
        ({"content_0": ["x", "y", "z"]}, "row 1, column content_0: 3 values"),
    ],
)
def test_what_would_mislead_a_probe_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Embeddings.from_table(table(**changes))


def test_missing_columns_are_all_named():
    with pytest.raises(InputError) as caught:
        Embeddings.from_table(pd.DataFrame({"x": [1]}), "e.csv")
    assert [str(fault)[:30] for fault in caught.value.faults] == [
        "e.csv: there is no column 'sam",
        "e.csv: there is no column of a",
    ]


def test_reads_a_file(tmp_path):
    table().to_csv(tmp_path / "e.csv", index=False)
    assert list(Embeddings.read(tmp_path / "e.csv").codes) == ["content", "style"]


def test_pixels_are_a_third_kind_but_not_a_code():
    found = Embeddings.from_table(table(pixels_0=[0.0, 0.5, 1.0], pixels_1=[1, 1, 1]))
    assert found.of(pd.Series(["b"]))["pixels"].tolist() == [[0.5, 1.0]]
    alone = pd.DataFrame({"sample": ["a"], "pixels_0": [0.5]})
    with pytest.raises(InputError, match="no column of a code"):
        Embeddings.from_table(alone)
