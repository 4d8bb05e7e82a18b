"""Predictions: every fault is listed, with row and column."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.columns import Columns
from evaluation.errors import InputError
from evaluation.predictions import Predictions
from evaluation.table import read_table


def table(**changes):
    rows = {
        "sample": ["a", "b", "c"],
        "patient": ["p", "p", "q"],
        "label": [1, 0, 1],
        "score": [0.9, 0.2, 0.7],
        "sex": ["f", None, "m"],
    }
    return pd.DataFrame(rows | changes)


def faults(frame, *attributes, **columns):
    with pytest.raises(InputError) as caught:
        Predictions.from_table(frame, attributes, Columns(**columns), "run7.csv")
    return caught.value.faults


def test_keeps_attributes_as_read_and_missing_as_missing():
    found = Predictions.from_table(table(), ["sex"])
    assert list(found.table) == ["sample", "patient", "split", "label", "score", "sex"]
    assert found.table["sex"].isna().tolist() == [False, True, False]
    assert (found.table["split"] == "test").all()


def test_every_fault_is_listed_with_row_and_column():
    found = faults(
        table(sample=["a", "a", "c"], label=["1", "maybe", "1"], score=["0.1", "1.5", "x"])
    )
    places = {(fault.row, fault.column) for fault in found}
    assert places == {(2, "sample"), (2, "label"), (2, "score"), (3, "score")}
    text = "\n".join(map(str, found))
    assert "run7.csv, row 2, column score: score is '1.5'." in text
    assert "apply a sigmoid" in text
    assert "the sample is already in row 1" in text


@pytest.mark.parametrize("column", ["sample", "patient", "label", "score"])
def test_a_missing_value_names_its_row(column):
    values = table()[column].astype(object).tolist()
    (fault,) = faults(table(**{column: [values[0], None, values[2]]}))
    assert (fault.row, fault.column) == (2, column)
    assert fault.found == f"{column} is missing"


def test_a_missing_column_names_the_nearest():
    frame = table().rename(columns={"score": "scroe", "patient": "subject"})
    patient, score, sex = faults(frame, "gender")
    assert "Did you mean 'scroe'?" in score.remedy
    assert "--one-image-per-patient" in patient.remedy
    assert "'gender'" in sex.found


def test_an_empty_table_is_refused():
    (fault,) = faults(table().iloc[:0])
    assert "no rows" in fault.found


def test_an_unknown_split_is_refused():
    (fault,) = faults(table(split=["test", "tset", "test"]))
    assert (fault.row, fault.column) == (2, "split")


def test_very_many_faults_are_counted():
    frame = pd.concat([table()] * 100).assign(sample=range(300), score=2.0)
    found = faults(frame)
    assert len(found) == 21
    assert "280 further rows" in found[-1].found


def test_columns_may_have_other_names():
    frame = table().rename(columns={"sample": "image", "score": "probability", "label": "y"})
    columns = Columns(sample="image", score="probability", label="y", patient=None)
    found = Predictions.from_table(frame, columns=columns)
    assert found.table["patient"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_reads_back_what_it_wrote(tmp_path, suffix):
    written = Predictions.from_table(table(), ["sex"])
    written.write(tmp_path / f"p{suffix}")
    again = Predictions.read(tmp_path / f"p{suffix}", ["sex"])
    pd.testing.assert_frame_equal(again.table, written.table, check_dtype=False)
    assert [path.name for path in tmp_path.iterdir()] == [f"p{suffix}"]


@pytest.mark.parametrize("labels", [[True, False, True], ["1", "0", "1"], [1.0, 0.0, 1.0]])
def test_labels_may_be_flags_text_or_numbers(labels):
    assert Predictions.from_table(table(label=labels)).table["label"].tolist() == [1, 0, 1]


def test_not_a_table(tmp_path):
    (tmp_path / "p.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="not readable as a table"):
        read_table(tmp_path / "p.parquet")
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "absent.csv")


@given(
    st.lists(
        st.tuples(
            st.text(max_size=3),
            st.one_of(st.none(), st.text(max_size=3), st.floats(), st.integers()),
            st.one_of(st.none(), st.text(max_size=3), st.floats()),
        ),
        max_size=5,
    )
)
def test_any_table_is_accepted_or_refused_with_faults(rows):
    frame = pd.DataFrame(rows, columns=["sample", "label", "score"], dtype=object)
    try:
        found = Predictions.from_table(frame, columns=Columns(patient=None))
    except InputError:
        return
    else:
        assert found.table["label"].isin([0, 1]).all()
        assert found.table["score"].between(0, 1).all()
        assert found.table["sample"].is_unique


def test_faults_name_the_columns_of_the_file():
    frame = table(score=[0.9, 7.5, 0.7]).rename(columns={"score": "probability"})
    (fault,) = faults(frame, score="probability")
    assert str(fault).startswith("run7.csv, row 2, column probability: score is '7.5'")


def test_blank_lines_do_not_shift_the_rows(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("sample,patient,label,score\na,p,1,0.5\n\nb,q,2,0.5\n")
    with pytest.raises(InputError) as caught:
        Predictions.read(path)
    assert (3, "label") in {(fault.row, fault.column) for fault in caught.value.faults}


def multilabel(**changes):
    columns = {
        "sample": list("abcd"),
        "patient": list("aabb"),
        "label_edema": ["1", "0", None, "1"],
        "label_mass": [0, 0, 1, 1],
        "score_edema": [0.9, 0.1, 0.3, 0.6],
        "score_mass": [0.2, 0.4, 0.7, 0.8],
    }
    return pd.DataFrame(columns | changes)


def multiclass(**changes):
    columns = {
        "sample": list("abcd"),
        "patient": list("abcd"),
        "label": ["cat", "dog", "eel", "dog"],
        "score_cat": [0.7, 0.2, 0.1, 0.5],
        "score_dog": [0.2, 0.6, 0.1, 0.4],
        "score_eel": [0.1, 0.2, 0.8, 0.1],
    }
    return pd.DataFrame(columns | changes)


def test_a_multilabel_table_asks_once_for_each_finding():
    checked = Predictions.from_table(multilabel())
    assert (checked.task, checked.targets) == ("multilabel", ("edema", "mass"))
    edema, mass = checked.answers({"edema": 0.5, "mass": 0.75})
    np.testing.assert_array_equal(edema.label, [1, 0, np.nan, 1])
    np.testing.assert_array_equal(edema.known, [True, True, False, True])
    np.testing.assert_array_equal(mass.decision, [0, 0, 0, 1])


def test_a_multiclass_table_asks_which_class_and_once_for_each():
    checked = Predictions.from_table(multiclass())
    assert (checked.task, checked.targets) == ("multiclass", ("cat", "dog", "eel"))
    whole, cat, dog, _ = checked.answers({})
    np.testing.assert_array_equal(whole.label, [0, 1, 2, 1])
    np.testing.assert_array_equal(whole.decision, [0, 1, 2, 0])
    assert (whole.classes, cat.classes) == (3, 2)
    np.testing.assert_array_equal(dog.decision, [0, 1, 0, 0])
    np.testing.assert_array_equal(cat.label, [1, 0, 0, 0])


def test_targets_can_be_named_in_an_order():
    columns = Columns(targets=("eel", "dog", "cat"))
    whole, *_ = Predictions.from_table(multiclass(), columns=columns).answers({})
    np.testing.assert_array_equal(whole.label, [2, 1, 0, 1])


def test_decisions_of_the_file_are_taken_as_they_are():
    table = multilabel(decision_edema=[0, 0, 1, 1], decision_mass=[1, 1, 1, 0])
    checked = Predictions.from_table(table, columns=Columns(decision="decision"))
    edema, mass = checked.answers({})
    np.testing.assert_array_equal(edema.decision, [0, 0, 1, 1])
    np.testing.assert_array_equal(mass.decision, [1, 1, 1, 0])


def test_a_word_can_be_the_positive_class():
    frame = table(label=["ill", "well", "ill"][: len(table())] + ["well"] * (len(table()) - 3))
    checked = Predictions.from_table(frame, columns=Columns(positive="ill"))
    assert checked.table["label"].tolist()[:3] == [1, 0, 1]


@pytest.mark.parametrize(
    ("frame", "columns", "said"),
    [
        (multilabel(label_mass=[0, 0, 1, 2]), Columns(), "label is '2'"),
        (multilabel(label_mass=[0, 0, 1, "ill"]), Columns(), "label is 'ill'"),
        (multilabel(score_mass=[0, 0, 1, 7.5]), Columns(), "sigmoid"),
        (multilabel().drop(columns="label_mass"), Columns(), "no label column 'label_mass'"),
        (multilabel(), Columns(targets=("mass", "mass")), "named twice"),
        (multilabel(), Columns(positive="1"), "positive class of a multilabel task"),
        (multilabel(score_macro=0.5, label_macro=1), Columns(), "names the mean of all"),
        (multilabel(), Columns(decision="decision"), "no decision column 'decision_edema'"),
        (multiclass(label=["cat", "dog", "owl", "dog"]), Columns(), "classes are: cat, dog"),
        (multiclass()[["sample", "patient", "label", "score_cat"]], Columns(), "three classes"),
        (multiclass(w=[1, 1, -1, 1]), Columns(weight="w"), "Weights are finite"),
        (multiclass(w=[1, 1, np.inf, 1]), Columns(weight="w"), "Weights are finite"),
    ],
)
def test_what_does_not_fit_is_named(frame, columns, said):
    with pytest.raises(InputError) as caught:
        Predictions.from_table(frame, columns=columns)
    assert said in str(caught.value)


def test_an_attribute_may_be_called_weight():
    checked = Predictions.from_table(multiclass(weight=[60, 70, 80, 90]), ["weight"])
    np.testing.assert_array_equal(checked.weight, [1, 1, 1, 1])
    frame = multiclass(weight=[60, 70, 80, 90], w=[1, 2, 3, 4])
    with pytest.raises(InputError, match="Rename the attribute"):
        Predictions.from_table(frame, ["weight"], Columns(weight="w"))
