"""Tensors as bytes after the JSON, by a client of its own, written from the specification."""

import base64
import gzip
import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from service_samples import is_problem, png

PATH = "/v2/models/evenscan/infer"

SIZES = {"UINT8": "B", "FP32": "f"}


def packed(values):
    """Numbers or files as bytes, and what the JSON says of them."""
    if isinstance(values, list):
        raw = b"".join(len(each).to_bytes(4, "little") + each for each in values)
        return raw, {"shape": [len(values)], "datatype": "BYTES"}
    datatype = "UINT8" if values.dtype == np.uint8 else "FP32"
    flat = values.ravel().tolist()
    raw = struct.pack(f"<{len(flat)}{SIZES[datatype]}", *flat)
    return raw, {"shape": list(values.shape), "datatype": datatype}


def body_of(values, **more):
    raw, described = packed(values)
    tensor = {"name": "image", **described, "parameters": {"binary_data_size": len(raw)}}
    return json.dumps({"inputs": [tensor], **more}).encode(), raw


def send(running, head, raw, length=None, kind="application/octet-stream"):
    headers = [(b"Content-Type", kind.encode())]
    for each in [len(head)] if length is None else length:
        headers.append((b"Inference-Header-Content-Length", str(each).encode()))
    return running.client.post(PATH, content=head + raw, headers=headers)


def ask(running, values, **more):
    return send(running, *body_of(values, **more))


def read_bytes(datatype, data):
    """Numbers, or texts of which each is after its length."""
    if datatype == "FP32":
        return struct.unpack(f"<{len(data) // 4}f", data)
    texts = []
    while data:
        (length,) = struct.unpack_from("<I", data)
        texts.append(data[4 : 4 + length].decode())
        data = data[4 + length :]
    return texts


def unpacked(response):
    """Outputs of an answer by name, and the names of those that were bytes."""
    assert response.status_code == 200, response.text
    length = int(response.headers.get("inference-header-content-length", len(response.content)))
    said, rest = json.loads(response.content[:length]), response.content[length:]
    found, raw = {}, []
    for output in said["outputs"]:
        values = output.get("data")
        if values is None:
            size = output["parameters"]["binary_data_size"]
            values = read_bytes(output["datatype"], rest[:size])
            rest = rest[size:]
            raw.append(output["name"])
        assert output["datatype"] == ("BYTES" if output["name"] == "decision" else "FP32")
        found[output["name"]] = np.reshape(values, output["shape"])
    assert rest == b""
    return found, raw


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 3, 28, 28), np.uint8)


def in_json(running, tensor, **more):
    response = running.client.post(PATH, json={"inputs": [{"name": "image", **tensor}], **more})
    return unpacked(response)[0]


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        if name == "decision":
            assert found[name].tolist() == values.tolist()
        else:
            np.testing.assert_allclose(found[name], values, rtol=1e-6)


def test_the_extension_is_announced(served):
    assert served.client.get("/v2").json()["extensions"] == ["binary_tensor_data"]


def test_numbers_as_bytes_are_the_numbers_of_the_json(served, pixels):
    data = pixels.ravel().tolist()
    expected = in_json(served, {"shape": [2, 3, 28, 28], "datatype": "UINT8", "data": data})
    for values in (pixels, (pixels / 255).astype(np.float32)):
        found, raw = unpacked(ask(served, values))
        assert raw == []
        assert_same(found, expected)


def test_files_as_bytes_are_the_files_of_the_json(served):
    files = [png(40), png(61)]
    data = [base64.b64encode(each).decode() for each in files]
    expected = in_json(served, {"shape": [2], "datatype": "BYTES", "data": data})
    assert_same(unpacked(ask(served, files))[0], expected)


def test_outputs_are_bytes_where_they_are_asked_for(served, pixels):
    expected = unpacked(ask(served, pixels))[0]
    response = ask(served, pixels, parameters={"binary_data_output": True}, id="mine")
    assert response.headers["content-type"] == "application/octet-stream"
    assert b'"id":"mine"' in response.content
    found, raw = unpacked(response)
    assert raw == list(expected)
    assert {"probability", "decision", "content"} <= set(raw)
    assert_same(found, expected)
    outputs = [
        {"name": "content"},
        {"name": "probability", "parameters": {"binary_data": False}},
    ]
    mixed = ask(served, pixels, parameters={"binary_data_output": True}, outputs=outputs)
    found, raw = unpacked(mixed)
    assert (list(found), raw) == (["content", "probability"], ["content"])
    assert_same(found, {name: expected[name] for name in found})
    only = [{"name": "probability", "parameters": {"binary_data": True}}, {"name": "content"}]
    assert unpacked(ask(served, pixels, outputs=only))[1] == ["probability"]


def test_a_request_of_json_may_ask_for_bytes_too(served, pixels):
    tensor = {"shape": [2, 3, 28, 28], "datatype": "UINT8", "data": pixels.ravel().tolist()}
    wanted = {"parameters": {"binary_data_output": True}}
    assert_same(in_json(served, tensor, **wanted), in_json(served, tensor))


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (["-1"], "Send the bytes of the JSON, once"),
        (["x"], "is 'x'"),
        ([""], "is ''"),
        (["1.5"], "is '1.5'"),
        (["٣"], "is"),
        (["1" * 40], "is too large"),
        (["9" * 9], "and the body has"),
        ([100, 100], "is '100, 100'"),
        (["0"], "first 0 bytes is not JSON"),
        (["12"], "first 12 bytes is not JSON"),
    ],
)
def test_a_header_that_is_no_length(served, pixels, length, said):
    head, raw = body_of(pixels)
    assert said in is_problem(send(served, head, raw, length), 400)["detail"]


def test_sizes_that_do_not_add_up(served, pixels):
    head, raw = body_of(pixels)
    for rest in (raw[:-1], raw + b"x", b""):
        detail = is_problem(send(served, head, rest), 400)["detail"]
        assert f"{len(rest)} bytes follow the JSON" in detail
    without = {"name": "image", "shape": [2, 3, 28, 28], "datatype": "UINT8"}
    silent = json.dumps({"inputs": [without]}).encode()
    assert "no input has" in is_problem(send(served, silent, raw), 400)["detail"]
    is_problem(send(served, silent, b""), 422)
    detail = is_problem(served.client.post(PATH, content=head), 400)["detail"]
    assert "without the header" in detail
    for size in (-1, "4704", 1.5, True, [], 2**70):
        tensor = without | {"parameters": {"binary_data_size": size}}
        odd = json.dumps({"inputs": [tensor]}).encode()
        is_problem(send(served, odd, raw), 400)


def test_data_in_one_place_only(served, pixels):
    raw, described = packed(pixels)
    tensor = {"name": "image", **described, "data": [1]}
    tensor["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps({"inputs": [tensor]}).encode()
    assert "both data and" in is_problem(send(served, head, raw), 422)["detail"]


def test_tensors_that_are_not_what_they_say(served, pixels):
    raw = pixels.tobytes()
    for shape, datatype in (
        ([1, 3, 28, 28], "UINT8"),
        ([2, 3, 28, 28], "FP32"),
        ([2], "UINT8"),
    ):
        tensor = {"name": "image", "shape": shape, "datatype": datatype}
        tensor["parameters"] = {"binary_data_size": len(raw)}
        head = json.dumps({"inputs": [tensor]}).encode()
        is_problem(send(served, head, raw), 422)
    is_problem(ask(served, np.full((1, 3, 28, 28), np.nan, np.float32)), 422)
    is_problem(ask(served, [png()] * 4), 422)
    is_problem(ask(served, [b""]), 422)
    is_problem(ask(served, []), 422)


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        (b"\x05\0\0\0hi", 1),
        (b"\x05\0", 1),
        (b"\xff\xff\xff\xffhi", 1),
        (b"\x01\0\0\0a", 2),
        (b"\x01\0\0\0a\x01\0\0\0b", 1),
        (b"", 1),
    ],
)
def test_files_that_end_too_early(served, raw, count):
    tensor = {"name": "image", "shape": [count], "datatype": "BYTES"}
    tensor["parameters"] = {"binary_data_size": len(raw)}
    is_problem(send(served, json.dumps({"inputs": [tensor]}).encode(), raw), 422)


def test_wishes_that_are_neither_yes_nor_no(served, pixels):
    wrong = [{"name": "probability", "parameters": {"binary_data": "yes"}}]
    body = is_problem(ask(served, pixels, outputs=wrong), 422)
    assert body["errors"][0]["column"] == "probability"
    is_problem(ask(served, pixels, parameters={"binary_data_output": 1}), 422)


def test_bytes_need_their_header(served, pixels):
    head, raw = body_of(pixels)
    response = send(served, head, raw, length=[])
    assert "Inference-Header-Content-Length" in is_problem(response, 415)["detail"]
    assert send(served, head, raw, kind="application/json").status_code == 200


def test_a_compressed_body_is_refused(served, pixels):
    head, raw = body_of(pixels)
    headers = {"Content-Encoding": "gzip", "Inference-Header-Content-Length": str(len(head))}
    response = served.client.post(PATH, content=gzip.compress(head + raw), headers=headers)
    assert "gzip" in is_problem(response, 415)["detail"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cut=st.integers(0, 400), put=st.binary(max_size=4), shift=st.integers(-3, 3))
def test_whatever_is_damaged_is_answered(served, cut, put, shift):
    head, raw = body_of([png()])
    body = head + raw
    cut = min(cut, len(body))
    damaged = body[:cut] + put + body[cut + len(put) :]
    response = send(served, damaged, b"", length=[len(head) + shift])
    assert response.status_code in (200, 400, 422), response.text


@pytest.mark.parametrize(
    "body",
    [
        {f"k{n}": 1 for n in range(200)},
        {"inputs": [{}] * 200},
        {"inputs": [{f"k{n}": 1 for n in range(200)}]},
        {"inputs": [{"parameters": {f"k{n}": 1 for n in range(200)}}]},
    ],
)
def test_a_request_that_sprawls_is_refused_as_one_fault(served, body):
    answer = served.client.post("/v2/models/evenscan/infer", json=body)
    [fault] = is_problem(answer, 422)["errors"]
    assert "more than 100" in fault["found"]
