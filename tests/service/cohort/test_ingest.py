"""A cohort is taken in whole, whatever dies while it is."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from cohort_samples import NAME, SCHEMA, dicom, ended, form, images, table, zipped
from fastapi.testclient import TestClient
from service_samples import COHORTS, HERE
from sqlalchemy import select

from evaluation.errors import InputError
from service.app import create_app
from service.cohort.cohorts import Cohorts
from service.cohort.ingest import Ingestion
from service.jobs.workflow import Task, Workplace
from service.jobs.workflows import Workflows
from service.settings import ServiceSettings
from service.storage import tables
from service.storage.database import Database
from service.storage.store import open_store
from service.storage.tables import Job
from tests.service.inference.test_hostile_images import HOSTILE

KILLED = Path(__file__).parents[1].joinpath("killed_worker.py")


@pytest.mark.parametrize("place", ["done:unpack", "done:validate", "kept:keep", "done:keep"])
def test_a_killed_worker_keeps_it_once(tmp_path, place):
    settings = ServiceSettings.read(
        home=tmp_path / "home", cohorts=COHORTS, poll_seconds=0.05, open=True
    )
    marks = tmp_path / "marks"
    marks.mkdir()
    command = [sys.executable, str(KILLED), str(marks), place]
    process = subprocess.Popen(command, env=settings.environment() | {"PATH": ""})
    try:
        with TestClient(create_app(settings), base_url=HERE) as client:
            job = ended(client, client.post("/v1/cohorts", files=form()))
    finally:
        process.terminate()
        process.wait()
    assert (marks / place).exists()
    assert job["state"] == "succeeded"
    assert open_store(settings).names("cohorts") == [f"cohorts/{job['id']}"]
    assert not list((settings.home / "uploads").iterdir())
    assert not list((settings.home / "jobs").iterdir())
    database = Database.opened(settings.database)
    cohort = Cohorts(database, open_store(settings), settings).read(job["result"]["cohort"])
    assert len(cohort.table) == 12
    database.close()


@pytest.fixture
def work(settings):
    """Makes the workflow of an upload, whose steps a test calls one by one."""
    database = Database.opened(settings.database)
    place = Workplace.of(settings, database)

    def make(schema=SCHEMA, manifest=None, pictures=None):
        upload = place.layout.uploads / "job-1"
        upload.mkdir(exist_ok=True)
        (upload / "part-0").write_text(manifest or table())
        (upload / "part-1").write_bytes(pictures or zipped(images()))
        request = {
            "cohort": schema,
            "tables": [{"file": "part-0", "name": "table.csv"}],
            "images": [{"file": "part-1", "name": "images.zip"}],
        }
        with database.write() as session:
            session.merge(Job(id="job-1", kind="ingest", request=request))
        return Ingestion(Task("job-1", request, place))

    make.place = place
    yield make
    database.close()


def kept(ingestion):
    ingestion.check()
    found = {}
    for step in ingestion.steps():
        found |= step.work(found)
    place = ingestion.task.place
    return Cohorts(place.database, place.store, place.settings).read(found["cohort"])


def test_steps_may_be_repeated(work):
    ingestion = work()
    found = ingestion.unpack({})
    found |= ingestion.unpack({})
    found |= ingestion.validate(found)
    found |= ingestion.validate(found)
    first = ingestion.keep(found)
    assert ingestion.keep(found) == first


def test_what_a_dead_job_has_left_is_swept(work, settings):
    ingestion = work()
    place = ingestion.task.place
    cohort = kept(ingestion)
    for job, state in (("killed", "failed"), ("resumed", "running")):
        with place.database.write() as session:
            session.add(Job(id=job, kind="ingest", state=state, request={}))
        for name in (job, f"{job}-nobody"):
            folder = place.layout.jobs / name / "kept"
            folder.mkdir(parents=True)
            place.store.keep(f"cohorts/{name}", folder)
    Workflows(settings, place.database).sweep()
    assert place.store.names("cohorts") == ["cohorts/job-1", "cohorts/resumed"]
    assert len(cohort.table) == 12
    cohorts = Cohorts(place.database, place.store, settings)
    with place.database.write() as session:
        session.get_one(Job, "job-1").state = "succeeded"
        row = session.scalars(select(tables.Cohort)).one()
    cohorts.sweep()
    assert len(cohorts.read(row.id).table) == 12
    with place.database.write() as session:  # as if its removal was broken off
        session.get_one(tables.Cohort, row.id).deleted = tables.now()
    cohorts.sweep()
    assert place.store.names("cohorts") == ["cohorts/resumed"]


def test_a_folder_in_the_zip_that_the_schema_names(work):
    files = {f"images/{name}": data for name, data in images().items()}
    assert len(kept(work(pictures=zipped(files))).table) == 12


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_image_in_a_zip_is_refused_and_named_by_its_row(work, name):
    pictures = images() | {"img003.png": HOSTILE[name]}
    with pytest.raises(InputError) as refused:
        kept(work(pictures=zipped(pictures)))
    said = str(refused.value)
    assert "row 4" in said or name == "a zip"  # a zip in a zip is seen before the rows are
    assert "img003" not in said
    assert "Roe" not in said
    assert not list(work.place.store.names("cohorts"))


def test_a_full_disk_leaves_nothing(work, monkeypatch):
    ingestion = work()
    found = ingestion.unpack({})

    def full(*given):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("service.cohort.cleaning.ZipFile.writestr", full)
    with pytest.raises(Exception, match="no room"):
        ingestion.validate(found)
    assert not (ingestion.task.directory / "kept").exists()
    assert not ingestion.task.place.store.names("cohorts")


def test_dicom_files_with_their_labels(work):
    schema = {
        "name": "scans",
        "format": "dicom",
        "sample": "SOPInstanceUID",
        "patient": "PatientID",
        "source": {
            "images": "scans",
            "labels": {"file": "table.csv", "column": "file", "key": "filename"},
        },
        "label": {"column": "dx", "classes": {"no": ["no"], "yes": ["yes"]}},
        "attributes": {"sex": {"column": "PatientSex", "categories": ["F", "M"]}},
    }
    files = {f"{k}.dcm": dicom(SOPInstanceUID=f"1.2.{k}") for k in range(4)}
    manifest = "file,dx\n0,no\n1,yes\n2,no\n3,yes\n"
    ingestion = work(schema, manifest, zipped(files))
    cohort = kept(ingestion)
    assert cohort.table["sex"].tolist() == ["F"] * 4
    assert cohort.table["patient"].nunique() == 1
    stored = ingestion.task.place.store.folder("cohorts/job-1")
    assert NAME.encode() not in b"".join(path.read_bytes() for path in stored.iterdir())


def test_formats_that_cannot_be_cleaned_are_refused(work):
    source = {"file": "a.npz", "images": "images"}
    schema = SCHEMA | {"format": "arrays", "source": source}
    with pytest.raises(Exception, match="Register the folder"):
        work(schema).check()
