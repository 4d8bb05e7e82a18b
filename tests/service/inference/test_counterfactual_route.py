"""Counterfactuals over HTTP: drawn by the decoder of the version, with the guard's word."""

import base64
import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from service_samples import COHORTS, HERE, Running, is_problem, png, promoted, tiny

from service.app import create_app
from service.settings import ServiceSettings
from training.config import RunConfig
from training.imaging import decode
from training.predictor import Predictor
from training.run import execute


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, cache):
    """Directory of a run whose model has style and decoder."""
    directory = tmp_path_factory.mktemp("runs") / "tiny-clear-1"
    config = tiny(
        method={"name": "clear_vae", "representation_epochs": 1, "classifier_epochs": 1}
    )
    return execute(RunConfig.parse(config, "test"), directory).directory


@pytest.fixture(scope="module")
def drawing(drawn, trained, tmp_path_factory):
    home = tmp_path_factory.mktemp("drawing")
    settings = ServiceSettings.read(home=home, cohorts=COHORTS, open=True)
    app = create_app(settings)
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        promoted(app.state.services.registry, drawn)
        app.state.services.registry.register(trained)
        yield Running(client, settings, app.state.services)


def ask(running, images, partners, model="champion", **headers):
    parts = [("images", (f"{k}.png", each)) for k, each in enumerate(images)]
    parts += [("partners", (f"p{k}.png", each)) for k, each in enumerate(partners)]
    path = f"/v1/counterfactuals?model={model}"
    return running.client.post(path, files=parts, headers=headers)


def shown(text):
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    return np.asarray(image).transpose(2, 0, 1)


def test_the_swap_is_content_of_the_one_and_style_of_the_other(drawing, drawn):
    images, partners = [png(40), png(50)], [png(60), png(70)]
    answer = ask(drawing, images, partners).json()
    predictor = Predictor(drawn, threads=1)
    codes = predictor.predict(
        np.stack([decode(each, predictor.contract, "") for each in images + partners])
    )
    own = predictor.decode(codes.content[:2], codes.style[:2])
    swapped = predictor.decode(codes.content[:2], codes.style[2:])
    before, after = (predictor.predict(each).probability for each in (own, swapped))
    for k, each in enumerate(answer["counterfactuals"]):
        assert (each["image"], each["partner"]) == (f"{k}.png", f"p{k}.png")
        assert np.abs(shown(each["reconstruction"]).astype(int) - own[k]).max() <= 1
        assert np.abs(shown(each["swap"]).astype(int) - swapped[k]).max() <= 1
        change = after[k, 1] - before[k, 1]
        assert each["change"]["present"] == pytest.approx(change, abs=1e-3)
        assert each["trusted"] == (not each["reason"])


def test_one_partner_is_for_all_and_numbers_are_to_be_had(drawing):
    response = ask(drawing, [png(40), png(50)], [png(60)], accept="application/x-npy")
    assert np.load(io.BytesIO(response.content)).shape == (2, 2, 3, 28, 28)


def test_its_own_style_is_its_reconstruction(drawing):
    [same] = ask(drawing, [png()], [png()]).json()["counterfactuals"]
    assert same["reconstruction"] == same["swap"]
    assert set(same["change"].values()) == {0.0}


def test_partners_that_do_not_fit(drawing):
    is_problem(ask(drawing, [png()], []), 422)
    is_problem(ask(drawing, [png()] * 3, [png()] * 2), 422)
    is_problem(ask(drawing, [png()], [b"no image"]), 422)


def test_a_version_that_cannot_draw(drawing):
    response = ask(drawing, [png()], [png(50)], model="2")
    assert "has no style and decoder" in is_problem(response, 409)["detail"]
