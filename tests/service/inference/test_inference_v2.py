"""The Open Inference Protocol: what the metadata promises is what is taken and given."""

import base64
from math import prod

import numpy as np
import pytest
from service_samples import is_problem, png

MODEL = "/v2/models/evenscan"


def infer(running, tensor, path=MODEL, **more):
    return running.client.post(f"{path}/infer", json={"inputs": [tensor], **more})


def files(*data):
    return {
        "name": "image",
        "datatype": "BYTES",
        "shape": [len(data)],
        "data": [base64.b64encode(each).decode() for each in data],
    }


def numbers(values, datatype):
    shape = list(values.shape)
    return {
        "name": "image",
        "datatype": datatype,
        "shape": shape,
        "data": values.ravel().tolist(),
    }


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 3, 28, 28), np.uint8)


def test_server_health_and_metadata(served):
    get = served.client.get
    assert get("/v2").json()["name"] == "evenscan"
    assert get("/v2/health/live").status_code == 200
    assert get(f"{MODEL}/ready").json() == {"name": "evenscan", "ready": True}
    assert get(f"{MODEL}/versions/1/ready").status_code == 200
    said = get(MODEL).json()
    assert said["versions"] == ["1"]
    assert said["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 3, 28, 28]}]
    assert said["parameters"]["limits"]["max_images"] == 3


def test_the_outputs_are_those_of_the_metadata_and_of_v1(served):
    answer = infer(served, files(png()), id="my request").json()
    said = served.client.get(MODEL).json()["outputs"]
    assert [each["name"] for each in answer["outputs"]] == [each["name"] for each in said]
    assert answer["id"] == "my request"
    assert answer["model_version"] == "1"
    for output, promised in zip(answer["outputs"], said, strict=True):
        assert output["datatype"] == promised["datatype"]
        assert output["shape"] == [1, *promised["shape"][1:]]
        assert len(output["data"]) == prod(output["shape"])
    first = served.client.post("/v1/predictions", files={"images": ("a", png())}).json()
    expected = list(first["predictions"][0]["probability"].values())
    assert answer["outputs"][0]["data"] == pytest.approx(expected)
    named = {each["name"]: each["data"] for each in answer["outputs"]}
    assert named["decision"] == [first["predictions"][0]["decision"]]
    if (farther := first["predictions"][0]["farther"]) is not None:
        assert named["farther"] == pytest.approx([farther], abs=1e-4)
    about = served.client.get(MODEL).json()["parameters"]
    for name in ("threshold", "classes", "groups", "meaning"):
        assert about[name] == first[name]


def test_whole_numbers_and_shares_give_the_same(served, pixels):
    whole = infer(served, numbers(pixels, "UINT8")).json()
    shares = infer(served, numbers(pixels / 255, "FP32"), f"{MODEL}/versions/1").json()
    assert whole["outputs"] == shares["outputs"]


def test_an_output_can_be_chosen(served):
    outputs = infer(served, files(png()), outputs=[{"name": "content"}]).json()["outputs"]
    assert [each["name"] for each in outputs] == ["content"]
    is_problem(infer(served, files(png()), outputs=[{"name": "style"}]), 422)


@pytest.mark.parametrize(
    "path", ["/v2/models/other", f"{MODEL}/versions/9", f"{MODEL}/versions/x"]
)
def test_unknown_models(served, path):
    is_problem(served.client.get(path), 404)
    is_problem(infer(served, files(png()), path), 404)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "picture"},
        {"shape": [1, 3, 28, 27]},
        {"shape": [2, 3, 28, 28]},
        {"shape": [-1, 3, 28, 28]},
        {"datatype": "INT64"},
        {"data": ["x"] * 2352},
        {"data": [300] * 2352},
        {"data": [[1, 2], [3]]},
        {"data": [10**30] * 2352},
        {"datatype": "FP32", "data": [1.5] * 2352},
        {"datatype": "BYTES", "shape": [1], "data": ["?"]},
        {"datatype": "BYTES", "shape": [2], "data": ["aGk="]},
    ],
)
def test_tensors_that_do_not_fit(served, pixels, change):
    is_problem(infer(served, numbers(pixels[:1], "UINT8") | change), 422)


def test_bodies_that_are_none(served):
    post = served.client.post
    is_problem(
        post(f"{MODEL}/infer", content=b"{", headers={"content-type": "application/json"}), 400
    )
    is_problem(post(f"{MODEL}/infer", json=[]), 422)
    is_problem(post(f"{MODEL}/infer", content=b"x", headers={"content-type": "image/png"}), 415)
    is_problem(infer(served, files(*[png()] * 4)), 422)
