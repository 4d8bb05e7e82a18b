"""Cohorts over HTTP, with a real worker."""

import logging
import sqlite3
from threading import Thread
from zipfile import ZIP_STORED

import pytest
from cohort_samples import NAME, SCHEMA, ended, form, images, picture, table, toml, zipped
from fastapi.testclient import TestClient
from service_samples import COHORTS, HERE, Running, is_problem

from evaluation.errors import InputError
from service.app import create_app
from service.jobs.worker import working
from service.security.secret import secret_of
from service.settings import ServiceSettings
from service.storage.tables import Job
from training.imaging import InputContract

URL = "/v1/cohorts"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return tmp_path_factory.mktemp("folders")


@pytest.fixture(scope="module")
def service(tmp_path_factory, folders):
    home = tmp_path_factory.mktemp("home")
    settings = ServiceSettings.read(
        home=home, cohorts=COHORTS, folders=folders, poll_seconds=0.05, open=True
    )
    app = create_app(settings)
    with (
        working(settings),
        TestClient(app, base_url=HERE, raise_server_exceptions=False) as client,
    ):
        yield Running(client, settings, app.state.services)


@pytest.fixture(scope="module")
def kept(service):
    job = ended(service.client, service.client.post(URL, files=form()))
    assert job["state"] == "succeeded", job
    return job["result"]["cohort"]


def everything(home):
    """What lies on the disk of a service."""
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_a_cohort_is_kept_without_who_it_is(service, kept):
    assert kept.startswith("skin-")
    cohort = service.services.cohorts.read(kept)
    assert cohort.table.index.tolist() == [f"img{k:03d}" for k in range(12)]
    assert cohort.table["patient"].nunique() == 6
    assert cohort.schema.classes == ("benign", "malignant")
    assert cohort.table["sex"].isna().sum() == 4
    everywhere = everything(service.settings.home)
    assert NAME.encode() not in everywhere
    assert b"Street" not in everywhere
    assert secret_of(service.settings) in everywhere
    assert (service.settings.home / "secret").stat().st_mode & 0o777 == 0o600


def test_the_same_content_is_the_same_version(service, kept):
    other = zipped(dict(reversed(images().items())), ZIP_STORED)
    lines = table().splitlines()
    manifest = "\n".join([lines[0], *reversed(lines[1:])])
    job = ended(service.client, service.client.post(URL, files=form(manifest, other)))
    assert job["result"]["cohort"] == kept
    assert len(service.services.store.names("cohorts")) == 1
    changed = table().replace("img000,Erika-Mustermann-0,nv", "img000,Erika-Mustermann-0,mel")
    job = ended(service.client, service.client.post(URL, files=form(changed)))
    assert job["result"]["cohort"] != kept
    assert service.client.delete(f"{URL}/{job['result']['cohort']}").status_code == 204


def test_twice_at_once(service, kept):
    answers = []
    threads = [
        Thread(target=lambda: answers.append(service.client.post(URL, files=form())))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {ended(service.client, answer)["result"]["cohort"] for answer in answers}
    assert found == {kept}
    assert len(service.services.store.names("cohorts")) == 1
    service.services.cohorts.read(kept)


def test_a_cohort_whose_folder_was_removed_meanwhile(service, kept, monkeypatch):
    def gone(name):
        raise LookupError(name)

    monkeypatch.setattr(service.services.store, "folder", gone)
    with pytest.raises(InputError, match="no cohort is called"):
        service.services.cohorts.read(kept)


def test_listed_and_reported(service, kept):
    listed = service.client.get(URL).json()
    assert kept in [item["id"] for item in listed["items"]]
    one = service.client.get(f"{URL}/{kept}").json()
    assert (one["samples"], one["patients"], one["registered"]) == (12, 6, False)
    report = service.client.get(f"{URL}/{kept}/report").json()
    assert report["classes"]["benign"] == {"samples": 6, "patients": 6}
    assert report["attributes"]["sex"]["missing"] == 4
    assert report["formats"] == {"PNG": 12}
    assert report["sizes"] == {"24 x 20": 12}
    assert any("patients" in text for text in report["warnings"])
    page = service.client.get(f"{URL}/{kept}/report", headers={"Accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>skin-" in page.text
    is_problem(service.client.get(f"{URL}/nobody"), 404)


def test_rows_that_are_left_out_have_a_reason(service):
    schema = SCHEMA | {
        "name": "reasons",
        "source": SCHEMA["source"] | {"keep": {"view": ["a"]}},
    }
    schema["label"] = SCHEMA["label"] | {"left_out": ["<unsure>", ""]}
    head, *lines = table().splitlines()
    lines = [f"{line},{'b' if k in (2, 7, 9) else 'a'}" for k, line in enumerate(lines)]
    lines[5] = lines[5].replace(",mel,", ",<unsure>,")
    lines[7] = lines[7].replace(",mel,", ",<unsure>,")
    manifest = "\n".join([f"{head},view", *lines]) + "\n"
    job = ended(service.client, service.client.post(URL, files=form(manifest, schema=schema)))
    address = f"{URL}/{job['result']['cohort']}/report"
    report = service.client.get(address).json()
    assert (report["samples"], report["left_out"]) == (8, 4)
    assert report["left_out_for"] == [
        {"reason": "'view' is not a", "rows": 3, "first": 3},
        {"reason": "'dx' is <unsure> or empty", "rows": 1, "first": 6},
    ]
    page = service.client.get(address, headers={"Accept": "text/html"}).text
    assert "&#x27;dx&#x27; is &lt;unsure&gt; or empty</th><td>1</td><td>6</td>" in page
    assert NAME not in page


def test_every_fault_is_listed_and_nobody_named(service):
    lines = table(60).splitlines()
    manifest = "\n".join(line.replace(",nv,", ",what,") for line in lines) + "\n"
    manifest = manifest.replace("img003,", "../img003,")
    job = ended(service.client, service.client.post(URL, files=form(manifest)))
    assert job["state"] == "failed"
    errors = job["errors"]
    assert sum("'what' belongs to no class" in fault["found"] for fault in errors) == 30
    assert sum("no image" in fault["found"] for fault in errors) == 48
    assert {4} <= {fault["row"] for fault in errors if "image path" in fault["found"]}
    assert NAME not in str(job)
    assert str(service.settings.home) not in str(job)


def test_damaged_images_and_equal_ones(service):
    pictures = images() | {"img001.png": picture(1)[:-40], "img002.png": b"GIF89a" + bytes(99)}
    job = ended(service.client, service.client.post(URL, files=form(None, zipped(pictures))))
    assert job["state"] == "failed"
    assert "no image" in str(job["errors"])
    pictures = images() | {"img001.png": picture(1)[:-40], "img005.png": picture(5)[:-40]}
    job = ended(service.client, service.client.post(URL, files=form(None, zipped(pictures))))
    assert [fault["where"] for fault in job["errors"]] == ["image of row 2", "image of row 6"]
    pictures = images() | {"img004.png": picture(0, compress_level=1)}
    job = ended(service.client, service.client.post(URL, files=form(None, zipped(pictures))))
    cohort = job["result"]["cohort"]
    report = service.client.get(f"{URL}/{cohort}/report").json()
    assert report["duplicates"] == {"images": 1, "patients": 1, "labels": 0}


def named_after_a_patient(manifest, pictures):
    """A form whose files all have a patient's name, as hospitals export them."""
    return [
        ("schema", (f"{NAME}.toml", toml(SCHEMA))),
        ("manifest", (f"{NAME}.csv", manifest)),
        ("images", (f"C:\\{NAME}\\{NAME}.zip", pictures)),
    ]


def test_no_file_name_gets_into_a_job(service, caplog):
    caplog.set_level(logging.DEBUG)
    names = [f"{NAME} {k}" for k in range(12)]
    lines = [f"{name},P{k // 2},{('nv', 'mel')[k % 2]},female" for k, name in enumerate(names)]
    manifest = "\n".join(["image_id,patient_id,dx,sex", *lines]) + "\n"
    good = {f"{NAME}/{name}.png": picture(k) for k, name in enumerate(names)}
    flat = {name.rpartition("/")[2]: data for name, data in good.items()}
    cut = flat | {f"{names[3]}.png": picture(3)[:-40]}
    broken = bytearray(zipped(flat))
    broken[200] ^= 0xFF
    cases = {
        "no image": (manifest, zipped(good)),
        "image of row 4": (manifest, zipped(cut)),
        "it is damaged": (manifest, bytes(broken)),
        "it is no zip": (manifest, b"PK" + NAME.encode()),
        "an archive itself": (manifest, zipped({f"{NAME}.zip": zipped(flat)})),
        "no column 'dx'": (manifest.partition("\n")[2], zipped(flat)),
        "leads out": (manifest, zipped({f"../{NAME}.png": picture(1)})),
    }
    for found, files in cases.items():
        job = ended(
            service.client, service.client.post(URL, files=named_after_a_patient(*files))
        )
        assert job["state"] == "failed"
        assert found in str(job["errors"]), job
        assert NAME not in str(job)
        assert NAME not in service.client.get(f"/v1/jobs/{job['id']}/logs").text
    answer = service.client.post(URL, files=named_after_a_patient(manifest, zipped(flat)))
    assert ended(service.client, answer)["state"] == "succeeded"
    with sqlite3.connect(service.settings.home / "evenscan.db") as connection:
        jobs = connection.execute("select * from jobs").fetchall()
        events = connection.execute("select * from job_events").fetchall()
    assert jobs
    assert events
    assert NAME not in str((jobs, events))
    assert NAME not in caplog.text


def test_samples_made_of_patients_are_hashed(service):
    schema = SCHEMA | {"name": "named", "sample": "file"}
    schema["source"] = SCHEMA["source"] | {"pattern": "{image_id}.png"}
    lines = table().splitlines()
    rows = [f"{line},{line.split(',')[1]}_{k}" for k, line in enumerate(lines[1:])]
    manifest = "\n".join([lines[0] + ",file", *rows]) + "\n"
    answer = service.client.post(URL, files=form(manifest, schema=schema))
    cohort = ended(service.client, answer)["result"]["cohort"]
    found = service.services.cohorts.read(cohort)
    assert all(len(sample) == 32 for sample in found.table.index)


def test_a_registered_folder(service, folders):
    place = folders / "skin"
    (place / "images").mkdir(parents=True)
    (place / "table.csv").write_text(table())
    for name, data in images().items():
        (place / "images" / name).write_bytes(data)
    body = {"schema": SCHEMA | {"name": "place"}, "folder": "skin"}
    job = ended(service.client, service.client.post(URL, json=body))
    assert job["state"] == "succeeded", job
    cohort = job["result"]["cohort"]
    found = service.services.cohorts.read(cohort)
    assert not found.table["patient"].str.contains(NAME).any()
    assert service.client.get(f"{URL}/{cohort}").json()["registered"]
    (place / "images" / "img002.png").write_bytes(picture(2)[:-40])
    with pytest.raises(InputError) as error:
        found.pixels("img002", InputContract(size=32))
    assert "file 3 of images in the order of names" in str(error.value)
    assert "img002" not in str(error.value)
    (place / "images" / "img002.png").write_bytes(picture(2))
    (place / "images" / "img000.png").write_bytes(picture(99))
    with pytest.raises(Exception, match="its files have changed"):
        service.services.cohorts.read(cohort)
    for folder in ("../", "/etc", "skin/images/../../..", "not-there"):
        is_problem(service.client.post(URL, json=body | {"folder": folder}), 422)
    (folders / "link").symlink_to("/etc")
    is_problem(service.client.post(URL, json=body | {"folder": "link"}), 422)
    assert service.client.delete(f"{URL}/{cohort}").status_code == 204
    assert (place / "table.csv").exists()


def test_refused_before_a_job(service):
    is_problem(service.client.post(URL, content=b"x"), 415)
    is_problem(service.client.post(URL, files=[("images", ("a.zip", b""))]), 422)
    files = [part for part in form() if part[0] != "images"]
    is_problem(service.client.post(URL, files=files), 422)
    is_problem(service.client.post(URL, json=[1]), 400)
    is_problem(service.client.post(URL, json={"schema": SCHEMA}), 422)
    assert not list((service.settings.home / "receiving").iterdir())


def test_removed_but_not_while_needed(service, kept):
    database = service.services.database
    with database.write() as session:
        session.add(Job(id="open", kind="audit", state="running", request={"cohort": kept}))
    is_problem(service.client.delete(f"{URL}/{kept}"), 409)
    with database.write() as session:
        session.get_one(Job, "open").state = "failed"
    assert service.client.delete(f"{URL}/{kept}").status_code == 204
    is_problem(service.client.get(f"{URL}/{kept}"), 404)
    is_problem(service.client.delete(f"{URL}/{kept}"), 404)
    job = ended(service.client, service.client.post(URL, files=form()))
    assert job["result"]["cohort"] == kept
    service.services.cohorts.read(kept)
    with sqlite3.connect(service.settings.home / "evenscan.db") as connection:
        assert NAME not in "\n".join(connection.iterdump())
