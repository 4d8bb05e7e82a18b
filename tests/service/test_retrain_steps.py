"""A retraining compares on test rows of patients that neither model has learnt from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from service_samples import ANYTHING, promoted, tiny

from evaluation.audit import Audit
from evaluation.errors import InputError
from service.database import Database
from service.layout import Layout
from service.registry import ModelRegistry
from service.retrain import Retraining, parse, read_predictions, score, unseen
from service.tables import AuditRecord
from training.cohort import CohortSchema, read_cohort
from training.predictor import Predictor
from training.run import load_run


@pytest.fixture
def champion(trained, tmp_path):
    """A run whose split can be changed."""
    return shutil.copytree(trained, tmp_path / "champion")


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


def test_what_cannot_be_compared_is_held(trained, champion, settings):
    database = Database.opened(settings.database)
    layout = Layout(settings)
    registry = ModelRegistry(database, layout.models)
    resplit(champion, read_predictions(load_run(trained)).table["patient"], "train")
    promoted(registry, champion)
    work = Retraining("job-1", tiny(), settings, database, registry, layout)
    compared = work.compare(work.ingest(), {"directory": str(trained)})
    assert compared["verdict"] == "INSUFFICIENT"
    gate = work.gate(compared)
    assert not gate["promote"]
    assert "learnt from every test patient" in gate["reason"]
    registered = work.register({"directory": str(trained)})
    for _ in range(2):  # a step that a crash repeats changes nothing more
        concluded = work.conclude(registered, compared, gate)
        assert concluded == {"promoted": False, "reason": gate["reason"]}
    assert registry.champion().id == 1
    database.close()


def test_a_champion_that_changed_meanwhile_is_not_replaced(trained, settings):
    database = Database.opened(settings.database)
    layout = Layout(settings)
    registry = ModelRegistry(database, layout.models)
    work = Retraining("job-1", tiny(), settings, database, registry, layout)
    compared = work.compare(work.ingest(), {"directory": str(trained)})
    gate = work.gate(compared)
    assert gate["promote"]
    registered = work.register({"directory": str(trained)})
    other = registry.register(trained, "job-2")
    registry.promote(other.id, "somebody", "while it was compared")
    concluded = work.conclude(registered, compared, gate)
    assert not concluded["promoted"]
    assert "became the champion" in concluded["reason"]
    assert registry.champion().id == other.id
    database.close()


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
    trained, tmp_path, settings
):
    database = Database.opened(settings.database)
    layout = Layout(settings)
    registry = ModelRegistry(database, layout.models)
    promoted(registry, trained)
    challenger = shutil.copytree(trained, tmp_path / "challenger")
    config = json.loads((challenger / "config.json").read_text())
    (challenger / "config.json").write_text(json.dumps(config | {"policy": AGAINST}))
    work = Retraining("job-1", tiny(policy=AGAINST), settings, database, registry, layout)
    compared = work.compare(work.ingest(), {"directory": str(challenger)})
    audit = Audit.from_json((layout.audits / "job-1" / "audit.json").read_text())
    change, leakage = audit.clauses
    assert change.verdict == "PASS"
    assert audit.champion == "version 1"
    assert "no embeddings" not in leakage.reason
    assert audit.leakage
    assert compared["champion"] == 1
    assert compared["verdict"] == audit.verdict
    database.close()


def test_what_is_stored_is_what_was_decided(trained, champion, settings):
    database = Database.opened(settings.database)
    layout = Layout(settings)
    registry = ModelRegistry(database, layout.models)
    resplit(champion, read_predictions(load_run(trained)).table["patient"], "train")
    promoted(registry, champion)
    work = Retraining("job-1", tiny(), settings, database, registry, layout)
    compared = work.compare(work.ingest(), {"directory": str(trained)})
    audit = Audit.from_json((layout.audits / "job-1" / "audit.json").read_text())
    with database.read() as session:
        record = session.get_one(AuditRecord, "job-1")
    assert compared["verdict"] == audit.verdict == record.verdict == "INSUFFICIENT"
    assert any("could not be compared" in note for note in audit.notes)
    database.close()


def test_data_that_changed_since_the_job_began_are_noticed(trained, settings):
    database = Database.opened(settings.database)
    layout = Layout(settings)
    registry = ModelRegistry(database, layout.models)
    work = Retraining("job-1", tiny(), settings, database, registry, layout)
    changed = work.ingest() | {"fingerprint": "another"}
    with pytest.raises(InputError, match="data have changed since the job began"):
        work.train(changed, lambda step: None)
    database.close()


def test_the_policy_of_the_service_is_the_default(tmp_path, settings):
    policy = tmp_path / "policy.toml"
    policy.write_text(
        'name = "ours"\n[[clause]]\nquantity = "overall"\nmetric = "auroc"\nminimum = 0.5\n'
    )
    ours = settings.model_copy(update={"policy": policy})
    assert parse(tiny(policy=None), ours).policy.name == "ours"
    assert parse(tiny(), ours).policy.name == ANYTHING["name"]
    with pytest.raises(InputError, match="no policy"):
        parse(tiny(policy=None), settings)
