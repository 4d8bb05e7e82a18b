"""Bodies: each form gives the same answer, and none that is malformed goes through."""

import base64
import io
import json
import pickle
import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from service_samples import is_problem, png

from service.inference.forms import OFFERED, best
from tests.training.formats.dicom_samples import dicom
from training.imaging import InputContract, decode

NPY, ARROW = OFFERED[1:]
CONTRACT = InputContract(size=28)


def post(running, kind, body, path="predictions", **headers):
    headers = {"content-type": kind, **headers}
    return running.client.post(f"/v1/{path}", content=body, headers=headers)


def npy(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def arrow(compression=None, **columns):
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def as_json(*files):
    said = [
        {"name": f"{k}.png", "data": base64.b64encode(f).decode()} for k, f in enumerate(files)
    ]
    return json.dumps({"images": said}).encode()


def probabilities(response):
    assert response.status_code == 200, response.text
    return [each["probability"]["present"] for each in response.json()["predictions"]]


def test_every_form_gives_the_same_numbers(served):
    files = [png(40), png(50)]
    pixels = np.stack([decode(each, CONTRACT, "") for each in files])
    parts = [("images", ("a.png", each)) for each in files]
    expected = probabilities(served.client.post("/v1/predictions", files=parts))
    last = pixels.transpose(0, 2, 3, 1)
    bodies = [
        (NPY, npy(pixels)),
        (NPY, npy(last)),
        (NPY, npy(pixels.astype(np.float32) / 255)),
        ("application/json", as_json(*files)),
        (ARROW, arrow(name=["a", "b"], image=files)),
    ]
    for kind, body in bodies:
        assert probabilities(post(served, kind, body)) == pytest.approx(expected, abs=1e-6)
    assert probabilities(post(served, "image/png", files[1])) == pytest.approx(expected[1:])


def stored(kind):
    """A picture whose pixels no kind of file changes, as a file of a kind."""
    pixels = np.asarray(Image.open(io.BytesIO(png(40))))
    if kind == "application/dicom":
        return dicom(pixels)
    file = io.BytesIO()
    # a JPEG changes them a little, and a picture of one colour a block hardly
    smooth = Image.fromarray(pixels).resize((5, 5)).resize((40, 40), Image.Resampling.BICUBIC)
    image = smooth if kind == "image/jpeg" else Image.fromarray(pixels)
    image.save(file, kind.rpartition("/")[2].upper(), **LOSSLESS.get(kind, {}))
    return file.getvalue()


LOSSLESS = {"image/jpeg": {"quality": 100, "subsampling": 0}}


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", "image/tiff", "application/dicom"])
def test_every_kind_of_file_is_taken_in_a_form_and_as_a_body(served, kind):
    data = stored(kind)
    [raw] = probabilities(post(served, kind, data))
    in_form = served.client.post("/v1/predictions", files={"images": ("a", data)})
    in_json = post(served, "application/json", as_json(data))
    assert probabilities(in_form) == probabilities(in_json) == [raw]
    pixels = decode(data, CONTRACT, "")[np.newaxis]
    assert probabilities(post(served, NPY, npy(pixels))) == pytest.approx([raw], abs=1e-6)
    if kind != "image/jpeg":
        assert [raw] == pytest.approx(probabilities(post(served, "image/png", png(40))))


@pytest.mark.parametrize(
    ("kind", "sent"), [("image/jpeg", "image/png"), ("application/dicom", "image/tiff")]
)
def test_a_body_is_what_it_holds_whatever_its_kind_is_called(served, kind, sent):
    assert post(served, kind, stored(sent)).status_code == 200


def test_every_form_of_answer_holds_the_same(served):
    body = as_json(png(40), png(50))
    told = post(served, "application/json", body)
    array = post(served, "application/json", body, accept=NPY)
    table = post(served, "application/json", body, accept=ARROW)
    matrix = np.load(io.BytesIO(array.content))
    columns = pa.ipc.open_stream(table.content).read_all().to_pydict()
    assert matrix[:, 1].tolist() == pytest.approx(probabilities(told))
    assert columns["probability_present"] == pytest.approx(probabilities(told))
    said = told.json()
    assert columns["decision"] == [each["decision"] for each in said["predictions"]]
    about = pa.ipc.open_stream(table.content).schema.metadata
    for name in ("model", "threshold", "groups", "meaning"):
        assert json.loads(about[name.encode()]) == said[name]
    assert array.headers["evenscan-model-version"] == "1"
    codes = post(served, "application/json", body, "embeddings", accept=NPY)
    assert np.load(io.BytesIO(codes.content)).shape[0] == 2
    is_problem(post(served, "application/json", body, accept="text/html"), 406)


@pytest.mark.parametrize(
    ("wish", "chosen"),
    [
        ("*/*", 0),
        ("application/*;q=0.1", 0),
        (f"{NPY};q=0.9, application/json;q=0.2", 1),
        (f"*/*;q=0.5, {ARROW}", 2),
        ("application/json;q=0, */*", 1),
    ],
)
def test_the_wish_with_the_highest_weight_counts(wish, chosen):
    assert best(wish, OFFERED) == OFFERED[chosen]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.zeros((1, 3, 28, 29), np.uint8), "shape"),
        (np.zeros((3, 28, 28), np.uint8), "shape"),
        (np.zeros((0, 3, 28, 28), np.uint8), "shape"),
        (np.zeros((1, 3, 28, 28), np.int64), "int64"),
        (np.zeros((1, 3, 28, 28), ">f4"), ">f4"),
        (np.full((1, 3, 28, 28), 2, np.float32), "[0, 1]"),
        (np.full((1, 3, 28, 28), np.nan, np.float32), "[0, 1]"),
        (np.zeros((1, 3, 28, 28), np.uint8), "every pixel is the same"),
    ],
)
def test_arrays_that_do_not_fit(served, values, found):
    assert found in is_problem(post(served, NPY, npy(values)), 422)["detail"]


def lying(shape, descr="|u1"):
    header = str({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(100)


@pytest.mark.parametrize(
    "body",
    [
        lying((10**9, 3, 28, 28)),
        lying((1, 3, 28, 28), "|O") + pickle.dumps(print),
        lying((-1, 3, 28, 28)),
        lying((True, 3, 28, 28)),
        lying((1, 3, 28, 28))[:-60],
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        b"\x93NUMPY",
        b"",
    ],
)
def test_array_headers_that_lie(served, body):
    is_problem(post(served, NPY, body), 422)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[]", 422),
        ("application/json", b'{"images": 3}', 422),
        ("application/json", b'{"images": [{"data": "?"}, {"name": 1}, 7]}', 422),
        ("application/json", b'{"images": [], "more": 1}', 422),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=x", b"no form", 400),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data", 400),
        (ARROW, b"no stream", 400),
        (ARROW, arrow(name=["a"], image=[b"x"])[:-40], 400),
        (ARROW, arrow("zstd", name=["a"], image=[b"x"]), 422),
        (ARROW, arrow(name=["a"], picture=[b"x"]), 422),
        (ARROW, arrow(name=["a"], image=pa.array([None], pa.binary())), 422),
        ("text/plain", b"hello", 415),
        ("", b"hello", 415),
    ],
)
def test_malformed_bodies(served, kind, body, status):
    is_problem(post(served, kind, body), status)


@pytest.mark.parametrize("path", ["predictions", "embeddings"])
def test_parts_that_a_route_does_not_read_are_refused(served, path):
    files = [("images", ("a.png", png())), ("partners", ("b.png", png()))]
    said = is_problem(served.client.post(f"/v1/{path}", files=files), 422)
    assert "unknown part 'partners'" in said["detail"]


def test_every_fault_of_a_body_is_named(served):
    body = b'{"images": [{"data": "?"}, {"name": 1}, 7]}'
    errors = is_problem(post(served, "application/json", body), 422)["errors"]
    assert [each["row"] for each in errors] == [1, 2, 3]


KINDS = st.sampled_from(
    ["application/json", NPY, ARROW, "image/png", "multipart/form-data; boundary=x"]
)
SEEDS = [npy(np.zeros((1, 3, 28, 28), np.uint8)), arrow(name=["a"], image=[png()]), png()]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(KINDS, st.sampled_from(SEEDS), st.data())
def test_no_body_makes_the_service_fail(served, kind, seed, data):
    at = data.draw(st.integers(0, len(seed)))
    noise = data.draw(st.binary(max_size=40))
    response = post(served, kind, seed[:at] + noise + seed[at + len(noise) :])
    assert response.status_code in (200, 400, 422), response.text


@pytest.mark.parametrize("name", [b"l\xc3\xa4sion.png", b"\xff\xfe.png", "😀.png".encode()])
def test_names_of_files_may_hold_any_bytes(served, name):
    body = (
        b'--b\r\nContent-Disposition: form-data; name="images"; filename="' + name + b'"\r\n'
        b"\r\n" + png() + b"\r\n--b--\r\n"
    )
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = served.client.post("/v1/predictions", content=body, headers=kind)
    assert answer.status_code == 200, answer.text
    shown = name.decode("utf-8", "backslashreplace")
    assert answer.json()["predictions"][0]["image"] == shown


def nulls(count):
    schema = pa.schema([("name", pa.string()), ("image", pa.binary())])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.table({"name": ["a"] * count, "image": [None] * count}, schema))
    return sink.getvalue()


def form_of(count):
    part = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n\r\n'
    return part * count + b"--b--\r\n"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", json.dumps({"images": [{}] * 300_000}).encode()),
        ("application/json", json.dumps({"images": [], "partners": ["!"] * 9}).encode()),
        (ARROW, nulls(100_000)),
        ("multipart/form-data; boundary=b", form_of(20_000)),
    ],
    ids=["json", "partners", "arrow", "form"],
)
def test_of_too_many_images_not_one_is_looked_at(served, kind, body):
    said = is_problem(post(served, kind, body), 422)
    assert [fault["column"] for fault in said["errors"]] == ["images"]
    assert "in one request" in said["detail"]


def test_of_many_faults_some_are_listed(served):
    body = json.dumps({"images": [], **{f"k{n}": 1 for n in range(50_000)}}).encode()
    said = is_problem(post(served, "application/json", body), 422)
    assert len(said["errors"]) <= 101
    form = b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n' * 5000 + b"--b--\r\n"
    said = is_problem(post(served, "multipart/form-data; boundary=b", form), 422)
    assert len(said["errors"]) <= 101
