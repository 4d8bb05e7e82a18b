"""Embeddings and predictions: the same numbers as the run's own, and clear refusals."""

import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from service_samples import HERE, is_problem, png, promoted, tiny

from evaluation.predictions import Predictions
from service.inference.runtime import Runtime
from training.cohort import CohortSchema, read_cohort
from training.outliers import Outliers
from training.predictor import Predictor
from training.weak_groups import read_audit


def send(running, path, *files, **query):
    parts = [("images", file) for file in files]
    return running.client.post(f"/v1/{path}", files=parts, params=query)


def test_a_prediction(served, trained):
    answer = send(served, "predictions", ("a.png", png()), ("b.jpeg.png", png(50))).json()
    assert answer["classes"] == ["absent", "present"]
    assert answer["model"] == {"version": 1, "run": trained.name, "method": "erm"}
    assert answer["threshold"] == read_audit(trained).threshold
    assert [each["image"] for each in answer["predictions"]] == ["a.png", "b.jpeg.png"]
    for each in answer["predictions"]:
        assert sum(each["probability"].values()) == pytest.approx(1, abs=1e-5)
        positive = each["probability"]["present"] >= answer["threshold"]
        assert each["decision"] == ("present" if positive else "absent")


def test_what_is_served_is_what_was_audited(served, trained, tmp_path):
    """An image of the test rows gets over HTTP the score that the audit has read."""
    rows = Predictions.read(trained / "predictions.parquet").only("test").table
    sample, score = rows["sample"].iloc[0], rows["score"].iloc[0]
    cohort = read_cohort(CohortSchema.parse(tiny()["cohort"], "test"))
    pixels = cohort.pixels(sample, Predictor(trained).contract)
    Image.fromarray(pixels.transpose(1, 2, 0)).save(tmp_path / "image.png")
    data = (tmp_path / "image.png").read_bytes()
    answer = send(served, "predictions", ("x.png", data)).json()
    assert answer["predictions"][0]["probability"]["present"] == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_other_modes_are_taken(served, mode):
    assert send(served, "predictions", ("a.png", png(mode=mode))).status_code == 200


def test_what_the_model_should_not_look_at_is_refused_with_every_fault(served):
    flat, small, grey = io.BytesIO(), png(20), png(mode="L")
    Image.new("RGB", (40, 40), "red").save(flat, "PNG")
    files = [("flat", flat.getvalue()), ("small", small), ("grey", grey)]
    errors = is_problem(send(served, "predictions", *files), 422)["errors"]
    assert [each["where"] for each in errors] == ["image 1", "image 2", "image 3"]
    words = ("every pixel is the same", "20 x 20 pixels are fewer", "takes colours")
    assert all(word in each["found"] for word, each in zip(words, errors, strict=True))


def test_colours_of_print_are_refused(served):
    file = io.BytesIO()
    Image.open(io.BytesIO(png())).convert("CMYK").save(file, "JPEG")
    response = send(served, "predictions", ("a.jpg", file.getvalue()))
    assert "CMYK" in is_problem(response, 422)["detail"]


def test_the_audit_speaks_with_every_answer(served, trained):
    groups = send(served, "predictions", ("a.png", png())).json()["groups"]
    audit = json.loads((trained / "audit.json").read_text())
    small = [
        each["group"]
        for each in audit["cohort"]
        if len(each["attributes"]) == 1 and (each["patients"] or 0) < 2
    ]
    assert [each["group"] for each in groups["unknown"]] == small
    assert {"weak", "unknown", "failed", "note"} == set(groups)


def test_a_version_without_outliers_says_why(empty, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "old")
    (run / "outliers.npz").unlink(missing_ok=True)
    promoted(empty.services.registry, run)
    answer = send(empty, "predictions", ("a.png", png())).json()
    assert answer["predictions"][0]["farther"] is None
    assert "outliers.npz" in answer["meaning"]


@pytest.mark.parametrize("at_a_glance", [True, False])
def test_what_is_compared_is_said(empty, trained, tmp_path, at_a_glance):
    run = shutil.copytree(trained, tmp_path / "run")
    generator = np.random.default_rng(0)
    slopes = generator.normal(0, 3, (2, 40, 3, 1, 1)) * np.arange(28)
    train, validation = np.clip(120 + slopes + np.zeros((28, 1)), 0, 255).astype(np.uint8)
    contents = [Predictor(run).predict(each).content for each in (train, validation)]
    fitted = Outliers.fitted((contents[0], train), np.arange(40) % 2, (contents[1], validation))
    Outliers(fitted.content, fitted.picture if at_a_glance else None).write(run)
    promoted(empty.services.registry, run)
    noise = generator.normal(128, 15, (28, 28, 3)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    answer = send(empty, "predictions", ("a.png", file.getvalue())).json()
    pixels = np.moveaxis(noise, 2, 0)[None]
    content = Predictor(run).predict(pixels).content
    [share] = fitted.share(content, pixels) if at_a_glance else fitted.share(content)
    assert answer["predictions"][0]["farther"] == pytest.approx(share, abs=1e-4)
    assert ("contrast" in answer["meaning"]) is at_a_glance


def test_an_embedding(served, trained):
    answer = send(served, "embeddings", ("a.png", png())).json()
    [embedding] = answer["embeddings"]
    columns = pd.read_parquet(trained / "embeddings.parquet").columns
    width = sum(name.startswith("content_") for name in columns)
    assert len(embedding["content"]) == width
    assert embedding["style"] is None
    assert np.isfinite(embedding["content"]).all()


def test_a_code_that_the_model_has_not(served):
    response = send(served, "embeddings", ("a.png", png()), part="style")
    assert "no style code" in is_problem(response, 422)["detail"]


def test_an_unknown_part(served):
    is_problem(send(served, "embeddings", ("a.png", png()), part="all"), 422)


@pytest.mark.parametrize("model", ["champion", "1"])
def test_the_model_is_chosen(served, model):
    response = send(served, "predictions", ("a.png", png()), model=model)
    assert response.json()["model"]["version"] == 1


@pytest.mark.parametrize("model", ["7", "best", "../1", "-1"])
def test_unknown_models(served, model):
    response = send(served, "predictions", ("a.png", png()), model=model)
    assert "no model version" in is_problem(response, 422)["detail"]


def test_no_champion_yet(empty):
    response = send(empty, "predictions", ("a.png", png()))
    assert "no champion yet" in is_problem(response, 422)["detail"]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"GIF89a" + bytes(50), "GIF"),
        (b"hello", "not an image"),
        (b"", "empty"),
        (png()[:200], "truncated"),
        (bytes(128) + b"DICM" + bytes(50), "DICOM"),
    ],
)
@pytest.mark.parametrize("path", ["predictions", "embeddings"])
def test_wrong_images_are_named(served, path, data, found):
    response = send(served, path, ("good.png", png()), ("scan-7.png", data))
    [fault] = is_problem(response, 422)["errors"]
    assert fault["where"] == "image 2"
    assert found in fault["found"]
    assert "scan-7" not in response.text  # files are called by the names of patients


def test_too_many_images(served):
    response = send(served, "predictions", *[("a.png", png())] * 4)
    assert "at most 3" in is_problem(response, 422)["detail"]


def test_a_field_instead_of_a_file(served):
    response = served.client.post(
        "/v1/predictions", files={"images": (None, "text")}, headers={"host": HERE[7:]}
    )
    is_problem(response, 422)


def test_the_version_used_least_recently_is_let_go(registry, trained):
    loads = []

    def load(directory):
        loads.append(directory.name)
        return Predictor(directory, threads=1)

    for job in "abc":
        registry.register(trained, job)
    runtime = Runtime(registry, 2, load)
    for name in ["1", "2", "1", "3", "1", "2"]:
        runtime.model(name)
    assert loads == ["a", "b", "c", "b"]


def test_a_version_is_served_from_its_own_copy(empty, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    promoted(empty.services.registry, run)
    shutil.rmtree(run)
    assert send(empty, "predictions", ("a.png", png())).status_code == 200


def test_a_damaged_champion_is_a_fault_of_the_service(empty, trained):
    version = promoted(empty.services.registry, trained)
    (empty.services.registry.directory(version) / "model.onnx").write_bytes(b"damaged")
    is_problem(send(empty, "predictions", ("a.png", png())), 500)
