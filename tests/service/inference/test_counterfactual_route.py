"""Counterfactuals over HTTP: drawn by the decoder of the version, with the guard's word."""

import asyncio
import base64
import io

import numpy as np
import pyarrow as pa
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from service_samples import COHORTS, HERE, Running, is_problem, png, promoted, tiny

from service.app import create_app
from service.routes import counterfactuals
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


def test_a_table_holds_what_the_json_says(drawing):
    images, partners = [png(40), png(50)], [png(60), png(70)]
    told = ask(drawing, images, partners).json()["counterfactuals"]
    stream = ask(drawing, images, partners, accept="application/vnd.apache.arrow.stream")
    rows = pa.ipc.open_stream(stream.content).read_all().to_pylist()
    assert stream.headers["evenscan-model-version"] == "1"
    for row, each in zip(rows, told, strict=True):
        for name in ("image", "partner", "flipped", "squared_error", "trusted", "reason"):
            assert row[name] == each[name]
        for name in ("reconstruction", "swap"):
            assert row[name] == base64.b64decode(each[name])
        for name in ("original", "reconstructed", "swapped"):
            assert row[f"decision_{name}"] == each[name]["decision"]
            assert row[f"probability_{name}_present"] == each[name]["probability"]["present"]
        assert row["change_absent"] == each["change"]["absent"]


@pytest.mark.parametrize("form", ["application/json", "application/vnd.apache.arrow.stream"])
def test_pictures_are_packed_apart_from_the_event_loop(drawing, monkeypatch, form):
    packed, pack = [], counterfactuals._png

    def apart(pixels):
        packed.append(pixels)
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return pack(pixels)

    monkeypatch.setattr(counterfactuals, "_png", apart)
    assert ask(drawing, [png(40)], [png(60)], accept=form).status_code == 200
    assert len(packed) == 2


@pytest.mark.parametrize("part", ["content", "style", "both"])
def test_the_code_that_is_asked_for_is_given(drawing, drawn, part):
    predictor = Predictor(drawn, threads=1)
    codes = predictor.predict(decode(png(), predictor.contract, "")[np.newaxis])
    expected = {"content": codes.content[0], "style": codes.style[0]}
    wanted = list(expected) if part == "both" else [part]
    path, files = f"/v1/embeddings?part={part}", {"images": ("a.png", png())}
    [told] = drawing.client.post(path, files=files).json()["embeddings"]
    for name, values in expected.items():
        if name in wanted:
            assert told[name] == pytest.approx(values.tolist(), abs=1e-5)
        else:
            assert told[name] is None
    asked = {"accept": "application/x-npy"}
    array = np.load(io.BytesIO(drawing.client.post(path, files=files, headers=asked).content))
    joined = np.concatenate([expected[name] for name in wanted])
    np.testing.assert_allclose(array, joined[np.newaxis], atol=1e-5)


def test_the_protocol_gives_the_style_too(drawing, drawn):
    data = base64.b64encode(png()).decode()
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [data]}
    body = {"inputs": [tensor], "outputs": [{"name": "style"}]}
    [output] = drawing.client.post("/v2/models/evenscan/infer", json=body).json()["outputs"]
    predictor = Predictor(drawn, threads=1)
    style = predictor.predict(decode(png(), predictor.contract, "")[np.newaxis]).style
    assert output["shape"] == list(style.shape)
    assert output["data"] == pytest.approx(style[0].tolist(), abs=1e-5)


def test_its_own_style_is_its_reconstruction(drawing):
    [same] = ask(drawing, [png()], [png()]).json()["counterfactuals"]
    assert same["reconstruction"] == same["swap"]
    assert set(same["change"].values()) == {0.0}


def test_partners_that_do_not_fit(drawing):
    is_problem(ask(drawing, [png()], []), 422)
    is_problem(ask(drawing, [png()] * 3, [png()] * 2), 422)
    refused = is_problem(ask(drawing, [png()], [b"no image"]), 422)
    assert [fault["where"] for fault in refused["errors"]] == ["partner 1"]


def test_a_version_that_cannot_draw(drawing):
    response = ask(drawing, [png()], [png(50)], model="2")
    assert "has no style and decoder" in is_problem(response, 409)["detail"]
