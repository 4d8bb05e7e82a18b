"""What careless and hostile users give: named errors, or states of evidence, never a crash."""

import json

import numpy as np
import pandas as pd
import pytest

from evaluation.audit import Audit, audit
from evaluation.audited_rows import AuditedRows
from evaluation.cli import main
from evaluation.columns import Columns
from evaluation.embeddings import Embeddings
from evaluation.errors import InputError
from evaluation.groups import Attribute
from evaluation.interop import audit_frame
from evaluation.policy import Policy
from evaluation.predictions import Predictions
from evaluation.report import write
from evaluation.request import AuditRequest
from evaluation.spec import AuditSpec
from evaluation.stress import StressSpec
from evaluation.table import read_table

QUICK = StressSpec(draws=100)


def table(rows=80, **columns):
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, rows)
    made = {
        "sample": [f"s{row}" for row in range(rows)],
        "patient": [f"p{row // 2}" for row in range(rows)],
        "label": label,
        "score": (0.6 * generator.random(rows) + 0.3 * label).round(3),
        "sex": generator.choice(["female", "male"], rows),
    }
    return pd.DataFrame(made | columns)


def spec(*attributes, **fields):
    named = [Attribute(name=name) for name in attributes]
    return AuditSpec(attributes=named, draws=100, stress=QUICK, **fields)


def refused(make):
    with pytest.raises(InputError) as caught:
        make()
    return str(caught.value)


@pytest.fixture(scope="module")
def made():
    return audit(
        Predictions.from_table(table(), ["sex"]), spec("sex", metrics=("auroc", "accuracy"))
    )


@pytest.fixture
def evenscan(capsys, monkeypatch):
    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["evenscan", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, capsys.readouterr().err

    return call


def test_two_columns_of_one_name_are_refused_where_a_reader_would_rename_one(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("sample,sex,sex\na,f,m\n")
    assert "2 columns are called 'sex'" in refused(lambda: read_table(path))
    twice = pd.concat([table(), table()[["score"]]], axis=1)
    assert "2 columns are called 'score'" in refused(lambda: Predictions.from_table(twice))


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_separator_is_named(tmp_path, mark, word):
    path = tmp_path / "p.csv"
    table().to_csv(path, index=False, sep=mark)
    assert f"its columns are separated by {word}" in refused(lambda: read_table(path))


def test_a_positive_class_that_no_label_is_would_make_all_negative():
    words = table(label=np.tile(["yes", "no"], 40))
    said = refused(lambda: Predictions.from_table(words, columns=Columns(positive="Yes")))
    assert "column label: no label is 'Yes', the positive class" in said
    assert "'yes', 'no'" in said


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_a_class_without_a_name_is_refused(task):
    named = table().drop(columns=["label", "score"]).assign(score_=0.5, score_b=0.5)
    if task == "multiclass":
        named = named.assign(label="b")
    else:
        named = named.assign(label_=1, label_b=1)
    said = refused(lambda: Predictions.from_table(named))
    assert "a class or finding has no name" in said


def test_two_classes_are_a_binary_task():
    words = table(label=np.tile(["well", "ill"], 40))
    pair = words.assign(score_well=1 - words["score"], score_ill=words["score"])
    pair = pair.drop(columns="score")
    said = refused(lambda: Predictions.from_table(pair))
    assert "three classes or more, got 2. Two are a binary task: --score score_ill" in said
    columns = Columns(score="score_ill", positive="ill")
    assert Predictions.from_table(pair, columns=columns).task == "binary"


def test_a_label_column_is_not_guessed_to_be_a_score_column():
    found = table().drop(columns=["label", "score"]).assign(score_a=0.5, score_b=0.5, label_b=1)
    said = refused(lambda: Predictions.from_table(found))
    assert "there is no label column 'label_a'. The file has" in said


@pytest.mark.parametrize("weight", [-1.0, np.inf, 1e300, 1e-320])
def test_weights_whose_sums_overflow_or_vanish_are_refused(weight):
    heavy = table(weight=weight)
    said = refused(lambda: Predictions.from_table(heavy, columns=Columns(weight="weight")))
    assert "0, or from 1e-12 to 1e12" in said


def test_weights_of_zero_are_no_evidence():
    light = table()
    light["weight"] = (light["sex"] == "male") * 1.0
    columns = Columns(weight="weight")
    found = audit(Predictions.from_table(light, ["sex"], columns), spec("sex"))
    estimate = found.estimate("auroc", "sex: female")
    assert (estimate.units, estimate.state, estimate.reason) == (0, "undefined", "no samples")
    nothing = Predictions.from_table(light.assign(weight=0.0), ["sex"], columns)
    said = refused(lambda: AuditedRows.of(nothing, spec("sex")))
    assert "every test row has weight 0" in said


def test_the_faults_of_all_attributes_come_at_once():
    bad = table(sex=np.nan, site=[f"site {row}" for row in range(80)])
    predictions = Predictions.from_table(bad, ["sex", "site"])
    said = refused(lambda: AuditedRows.of(predictions, spec("sex", "site")))
    assert "column sex: every value is missing" in said
    assert "column site: it has 80 distinct values" in said


def test_a_category_declared_twice_is_refused():
    values = {"name": "sex", "categories": ["female", "female"]}
    assert "declared twice" in refused(lambda: Attribute.parse(values, "a.toml"))


def test_groups_of_one_name_are_refused():
    alike = table(site=np.tile(["b", "c"], 40))
    alike["sex"] = np.repeat(["a", "a, site: b"], 40)
    predictions = Predictions.from_table(alike, ["sex", "site"])
    said = refused(lambda: AuditedRows.of(predictions, spec("sex", "site")))
    assert "two groups would be called 'sex: a, site: b'" in said


@pytest.mark.parametrize("depth", [2, 3])
def test_too_many_crossings_are_refused_at_once(depth):
    names = [f"a{place}" for place in range(120)]
    wide = table(**{name: np.tile(["x", "y"], 40) for name in names})
    predictions = Predictions.from_table(wide, names)
    said = refused(lambda: AuditedRows.of(predictions, spec(*names, depth=depth)))
    assert f"120 attributes crossed to depth {depth} make more than the 5,000 groups" in said
    alone = AuditedRows.of(predictions, spec(*names, depth=1))
    assert len(alone.groups) == 241


def test_more_draws_than_fit_into_memory_are_refused():
    predictions = Predictions.from_table(
        table(site=[f"site {row % 45}" for row in range(80)]), ["sex", "site"]
    )
    asked = spec("sex", "site").model_copy(update={"draws": 100_000})
    assert "groups that can be audited at once" in refused(
        lambda: AuditedRows.of(predictions, asked)
    )


def test_scores_of_classes_that_are_no_distribution_are_noted():
    half = table().drop(columns="score").assign(score_a=0.2, score_b=0.3, score_c=0.0)
    half["label"] = half["label"].map({0: "a", 1: "b"})
    notes = AuditedRows.of(Predictions.from_table(half), spec()).notes
    assert "The scores of the classes do not sum to 1 in 80 images." in notes
    whole = half.assign(score_b=0.8)
    assert AuditedRows.of(Predictions.from_table(whole), spec()).notes == ()


def test_embeddings_whose_squares_overflow_are_refused():
    codes = pd.DataFrame({"sample": ["a", "b"], "content_0": [0.0, 1e200]})
    said = refused(lambda: Embeddings.from_table(codes))
    assert "row 2, column content_0" in said


@pytest.mark.parametrize(
    "values",
    [
        {"metrics": []},
        {"margin": float("inf")},
        {"widest": float("inf")},
        {"stress": {"smallest_effective": float("inf")}},
    ],
)
def test_settings_that_say_nothing_are_refused(values):
    refused(lambda: AuditSpec.parse(values, "a.toml"))


def test_a_complaint_about_a_table_does_not_print_it():
    twice = {"attributes": [{"name": "sex"}, {"name": "sex"}]}
    said = refused(lambda: AuditRequest.parse({"audit": twice}, "a.toml"))
    assert said.startswith("a.toml: 'audit' does not fit. an attribute is named twice: sex")


def test_what_overrides_a_file_is_not_blamed_on_the_file_alone():
    given = {"audit": {"draws": 100}}
    said = refused(lambda: AuditRequest.gather(given, "a.toml", options={"depth": 9}))
    assert said.startswith("a.toml or an option: 'audit.depth' is 9")


def test_a_binary_task_has_no_target_to_name():
    predictions = Predictions.from_table(table())
    said = refused(lambda: AuditedRows.of(predictions, spec(healthy=("normal",))))
    assert said == "healthy: no target is called 'normal'. There is none."


@pytest.mark.parametrize("name", ["../x", "/a/b", "a\\b", "a\nb"])
def test_any_name_of_policy_and_source_can_be_written(tmp_path, name):
    clause = {"quantity": "overall", "metric": "auroc", "minimum": 0.6}
    policy = Policy.parse({"name": name, "clause": [clause]}, "p.toml")
    predictions = Predictions.from_table(table(), source=name)
    write(audit(predictions, spec(metrics=("auroc",)), policy), tmp_path / "out")
    lines = (tmp_path / "out" / "evidence.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines[:2]] == [name, name]
    assert "'name' is ''" in refused(
        lambda: Policy.parse({"name": "", "clause": [clause]}, "p.toml")
    )


def test_a_file_name_that_is_no_text_is_written_as_it_can_be(tmp_path):
    path = tmp_path / "p\udcff.csv"
    try:
        table().to_csv(path, index=False)
    except OSError:
        pytest.skip("this file system has no such names")
    assert Predictions.read(path).source == "p\\udcff.csv"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"evenscan": "0.0.0"}, "Evenscan 0.0.0 wrote it"),
        ({"surplus": 1}, "unknown key 'surplus'"),
        ({"estimates": []}, "'estimates' is []"),
        ({"cohort": []}, "'cohort' is []"),
    ],
)
def test_another_json_is_no_audit(made, tmp_path, change, said):
    path = tmp_path / "audit.json"
    path.write_text(json.dumps(json.loads(made.to_json()) | change))
    assert said in refused(lambda: Audit.read(path))


def test_no_report_is_made_of_an_audit_that_was_changed(made, tmp_path, evenscan):
    write(made, tmp_path / "a")
    path = tmp_path / "a" / "audit.json"
    assert evenscan("report", path, "--out", tmp_path / "b")[0] == 4
    path.write_text(path.read_text().replace('"verdict": null', '"verdict": "PASS"'))
    code, said = evenscan("report", path, "--out", tmp_path / "c")
    assert code == 1
    assert "it is not the output that was recorded" in said
    assert not (tmp_path / "c").exists()


def test_an_emptied_chain_does_not_hold(made, tmp_path, evenscan):
    write(made, tmp_path / "a")
    (tmp_path / "a" / "evidence.jsonl").write_text("")
    code, said = evenscan("verify", tmp_path / "a")
    assert code == 1
    assert "it holds no evidence" in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"positive": "Ill"}, "positive: it is 'Ill', which no value of y_true is"),
        ({"positive": "ill", "seed": -1}, "seed: it is -1"),
    ],
)
def test_arrays_that_would_give_a_silent_nothing_are_refused(changed, said):
    given = {"y_true": ["ill", "well"], "y_pred": ["ill", "ill"], "metrics": "accuracy"}
    call = {**given, "sensitive_features": ["f", "m"], "n_boot": 10, **changed}
    assert said in refused(lambda: audit_frame(**call))
