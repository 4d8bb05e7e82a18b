"""A retraining compares on test rows of patients that neither model has learnt from."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from service_samples import ANYTHING, promoted, tiny
from sqlalchemy import select
from workflow_samples import Bench

from evaluation.audit import Audit
from evaluation.errors import InputError
from evaluation.policy import Policy
from service.jobs.retrain import parse
from service.models.approval import approve
from service.models.champion import read_predictions, score, unseen
from service.models.conflicts import RefusedError
from service.storage.tables import AuditRecord, HeldOutPatient
from service.storage.tables import Cohort as CohortRow
from training.cohort import CohortSchema, read_cohort
from training.predictor import Predictor
from training.run import load_run, read_split


@pytest.fixture
def champion(trained, tmp_path):
    """A run whose split can be changed."""
    return shutil.copytree(trained, tmp_path / "champion")


@pytest.fixture
def bench(settings):
    """A service's parts, without queue and worker."""
    found = Bench(settings)
    yield found
    found.database.close()


def resplit(run: Path, patients, split):
    table = pd.read_csv(run / "split.csv", dtype=str)
    table.loc[table["patient"].isin(patients), "split"] = split
    table.to_csv(run / "split.csv", index=False)


def test_patients_of_the_champion_are_left_out(trained, champion):
    ours = read_predictions(load_run(trained))
    patients = ours.only("test").table["patient"].unique()
    known = {patients[0]: "train", patients[1]: "validation"}
    for patient, split in known.items():
        resplit(champion, [patient], split)
    kept = unseen(ours, champion)
    assert set(kept.only("test").table["patient"]) == set(patients) - set(known)
    pd.testing.assert_frame_equal(kept.only("validation").table, ours.only("validation").table)


def test_no_patient_is_left(trained, champion):
    ours = read_predictions(load_run(trained))
    resplit(champion, ours.table["patient"], "train")
    with pytest.raises(InputError, match="learnt from every test patient"):
        unseen(ours, champion)


def test_the_champion_scores_as_it_did_in_its_own_run(trained):
    rows = read_predictions(load_run(trained)).only("test")
    cohort = read_cohort(CohortSchema.parse(tiny()["cohort"], "test"))
    again = score(Predictor(trained), cohort, rows)
    np.testing.assert_allclose(again.table["score"], rows.table["score"], atol=1e-6)
    assert again.table["sample"].tolist() == rows.table["sample"].tolist()


def test_other_classes_cannot_be_compared(trained):
    rows = read_predictions(load_run(trained)).only("test")
    schema = tiny()["cohort"]
    schema["label"]["classes"] = {"healthy": ["absent"], "ill": ["present"]}
    cohort = read_cohort(CohortSchema.parse(schema, "test"))
    with pytest.raises(InputError, match="absent, present"):
        score(Predictor(trained), cohort, rows)


def done(work, trained, **found):
    """What the steps before a comparison find of a run that was trained elsewhere."""
    finished = work.task.directory / "finished"
    if work.task.kept("run") is None:
        shutil.copytree(trained, finished / "run")
        work.task.keep("run", finished)
    return work.ingest({}) | {"run": "run"} | found


def judged(work, trained):
    """The same, with comparison and gate."""
    found = done(work, trained)
    found |= work.audit(found)
    found |= work.compare(found)
    return found | work.gate(found)


def test_what_cannot_be_compared_is_held(trained, champion, bench):
    resplit(champion, read_predictions(load_run(trained)).table["patient"], "train")
    registry = bench.place.registry
    promoted(registry, champion)
    work = bench.retraining(tiny())
    found = judged(work, trained)
    assert (found["verdict"], found["gate"]) == ("INSUFFICIENT", "hold")
    assert "learnt from every test patient" in found["reason"]
    audit = Audit.from_json(bench.audit("job-1").read_text())
    with bench.database.read() as session:
        record = session.get_one(AuditRecord, "job-1")
    assert audit.verdict == record.verdict == "INSUFFICIENT"
    assert any("could not be compared" in note for note in audit.notes)
    for _ in range(2):  # a step that a crash repeats changes nothing more
        registered = work.register(found)
        assert work.hold(found | registered) == {"promoted": False}
    assert registry.champion().id == 1
    assert len(registry.list()) == 2


def test_a_champion_that_changed_meanwhile_is_not_replaced(trained, bench):
    registry = bench.place.registry
    work = bench.retraining(tiny())
    found = judged(work, trained)
    assert found["gate"] == "promote"
    found |= work.register(found)
    other = registry.register(trained, "job-2")
    registry.promote(other.id, "somebody", "while it was compared")
    concluded = work.promote(found)
    assert not concluded["promoted"]
    assert "became the champion" in concluded["reason"]
    assert registry.champion().id == other.id


def test_a_challenger_that_somebody_wants_to_approve_waits(trained, bench):
    found = judged(bench.retraining(tiny(promotion="hold")), trained)
    assert (found["verdict"], found["gate"]) == ("PASS", "hold")
    assert found["reason"].startswith("Held for approval with no champion to compare with")


def test_who_was_named_has_to_approve(trained, bench):
    request = tiny(promotion="hold", approver="Ada")
    work, registry = bench.retraining(request), bench.place.registry
    found = judged(work, trained)
    assert found["reason"].startswith("Held for approval by Ada with no champion")
    version = work.register(found)["version"]
    with pytest.raises(RefusedError, match="waits for the approval of Ada"):
        approve(registry, version, "Bob", "I like it.", override=False)
    assert registry.champion() is None
    assert approve(registry, version, "Ada", "I have read it.", override=False).who == "Ada"
    registry.promote(registry.register(trained).id, "a test", "another")
    move = approve(registry, version, "Bob", "Ada is ill.", override=True)
    assert (move.who, move.why) == ("Bob", "Override of approver Ada: Ada is ill.")


def test_the_report_of_a_retraining_is_printed_if_it_is_asked_for(trained, bench, printer):
    work = bench.retraining(tiny(pdf=True))
    work.check()
    judged(work, trained)
    printed = bench.audit("job-1").with_name("report.pdf")
    assert printed.read_bytes().startswith(b"%PDF")


def test_a_report_that_cannot_be_printed_is_told_of_before(bench, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    bench.retraining(tiny()).check()
    with pytest.raises(InputError, match="a PDF needs"):
        bench.retraining(tiny(pdf=True), "job-2").check()


def test_a_job_that_tries_another_again_registers_the_same_version(trained, bench):
    work = bench.retraining(tiny())
    first = work.register(judged(work, trained))
    work = bench.retraining(tiny(), "job-2", parent="job-1")
    assert work.register(judged(work, trained)) == first
    assert len(bench.place.registry.list()) == 1


#: Clauses that need the champion's scores and the challenger's embeddings.
AGAINST = {
    "name": "against the champion",
    "clause": [
        {"quantity": "change", "metric": "auroc", "minimum": -0.95,
         "small_groups": "listed"},
        {"quantity": "leakage", "maximum": 1.0, "small_groups": "listed"},
    ],
}  # fmt: skip


def test_a_challenger_is_judged_against_the_champion_and_with_its_embeddings(
    trained, tmp_path, bench
):
    promoted(bench.place.registry, trained)
    challenger = shutil.copytree(trained, tmp_path / "challenger")
    config = json.loads((challenger / "config.json").read_text())
    (challenger / "config.json").write_text(json.dumps(config | {"policy": AGAINST}))
    found = judged(bench.retraining(tiny(policy=AGAINST)), challenger)
    audit = Audit.from_json(bench.audit("job-1").read_text())
    change, leakage = audit.clauses
    assert change.verdict == "PASS"
    assert audit.champion == "version 1"
    assert "no embeddings" not in leakage.reason
    assert audit.leakage
    assert found["champion"] == 1
    assert found["verdict"] == audit.verdict


def test_data_that_changed_since_the_job_began_are_noticed(bench):
    work = bench.retraining(tiny())
    changed = work.ingest({}) | {"fingerprint": "another"}
    with pytest.raises(InputError, match="data have changed since the job began"):
        work.split(changed)


def split_by(bench, request, job, parent=None):
    """The split that a job draws, and what it says of it."""
    work = bench.retraining(request, job, parent)
    found = work.split(work.ingest({}))
    return read_split(work.task.directory), found


def patients(split, *parts):
    return set(split.loc[split["split"].isin(parts), "patient"])


def test_who_was_tested_on_is_never_learnt_from(bench):
    tested, splits = set(), []
    for seed in range(6):
        split, found = split_by(bench, tiny(seed=seed), f"job-{seed}")
        assert found["held_out"] == len(tested)
        assert not patients(split, "train", "validation") & tested
        assert patients(split, "test") >= tested
        tested |= patients(split, "test")
        splits.append(split)
    with bench.database.read() as session:
        rows = session.scalars(select(HeldOutPatient)).all()
    assert {(row.cohort, row.patient) for row in rows} == {("tiny", each) for each in tested}
    assert len(patients(splits[-1], "test")) < 30
    other = tiny()["cohort"] | {"name": "other"}
    assert split_by(bench, tiny(cohort=other, seed=1), "other")[1]["held_out"] == 0


def holding(bench, tmp_path, name, seed=0):
    """Id of a cohort that the service holds."""
    schema = tiny()["cohort"] | {"name": name}
    schema["source"] = schema["source"] | {"seed": seed}
    (tmp_path / name).mkdir()
    row = CohortRow(id=f"{name}-1", name=name, fingerprint=name, schema=schema)
    row.directory, row.report, row.who, row.job = f"cohorts/{name}-1", {}, "", ""
    return bench.place.cohorts.add(row, tmp_path / name)


def of_cohorts(*cohorts, **changes):
    """A request that names cohorts by their ids."""
    request = tiny(cohorts=list(cohorts), **changes)
    del request["cohort"]
    return request


def test_cohorts_that_the_service_holds(bench, tmp_path):
    one, other = (holding(bench, tmp_path, name, seed) for seed, name in enumerate(("a", "b")))
    alone, found = split_by(bench, of_cohorts(one), "job-1")
    assert (found["held_out"], len(alone)) == (0, 60)
    both, found = split_by(bench, of_cohorts(one, other, seed=4), "job-2")
    assert len(both) == 120
    tested = {f"a:{patient}" for patient in patients(alone, "test")}
    assert found["held_out"] == len(tested)
    assert not patients(both, "train", "validation") & tested
    # A patient of both kinds of name is one and the same.
    last, _ = split_by(bench, of_cohorts(other, seed=5), "job-3")
    tested = {each[2:] for each in patients(both, "test") if each.startswith("b:")}
    assert tested
    assert not patients(last, "train", "validation") & tested


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"cohorts": ["a-2"]}, "Did you mean 'a-1'?"),
        ({"cohorts": "a-1"}, "cohorts"),
        ({"cohorts": []}, "cohort"),
        ({"cohorts": [3]}, "cohorts"),
        ({"cohort": tiny()["cohort"]}, "both 'cohort' and 'cohorts' are given"),
        ({"promotion": "at once"}, "promotion"),
        ({"approver": "Ada"}, "only if promotion is 'hold'"),
        ({"promotion": "hold", "approver": ""}, "approver"),
        ({"policy": "screning"}, "Did you mean 'screening'?"),
        ({"policy": "/etc/policy.toml"}, "policy"),
        ({"promotoin": "hold"}, "promotoin"),
    ],
)
def test_what_cannot_be_retrained(bench, tmp_path, change, found):
    request = of_cohorts(holding(bench, tmp_path, "a")) | change
    with pytest.raises(InputError) as caught:
        bench.retraining(request).check()
    assert found in str(caught.value)


def test_a_split_is_drawn_once(bench):
    first = split_by(bench, tiny(seed=1), "job-1")
    again = split_by(bench, tiny(seed=1), "job-1")
    pd.testing.assert_frame_equal(first[0], again[0])
    assert first[1] == again[1]


def test_another_try_keeps_the_split_unless_others_have_tested_on_its_patients(bench):
    _, found = split_by(bench, tiny(seed=1), "job-1")
    half = tiny(seed=2, shift={"name": "none", "test": 0.5})
    tested = patients(split_by(bench, half, "job-2")[0], "test")
    split, later = split_by(bench, tiny(seed=1), "job-3", parent="job-1")
    assert not patients(split, "train", "validation") & tested
    again, latest = split_by(bench, tiny(seed=1), "job-4", parent="job-3")
    pd.testing.assert_frame_equal(split, again)
    assert found["run"] != later["run"] == latest["run"]


def test_the_policy_of_the_service_is_the_default(tmp_path, settings):
    policy = tmp_path / "policy.toml"
    policy.write_text(
        'name = "ours"\n[[clause]]\nquantity = "overall"\nmetric = "auroc"\nminimum = 0.5\n'
    )
    ours = settings.model_copy(update={"policy": policy})
    assert parse(tiny(policy=None), ours).policy.name == "ours"
    assert parse(tiny(), ours).policy.name == ANYTHING["name"]
    assert parse(tiny(policy="screening"), ours).policy == Policy.find("screening")
    with pytest.raises(InputError, match="no policy"):
        parse(tiny(policy=None), settings)
