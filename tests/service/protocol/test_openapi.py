"""Every route says what it does, with an example of each body, and how it may fail."""

import json

import pytest
from jsonschema import Draft202012Validator

from service.app import create_app
from service.settings import ServiceSettings

BINARY = (
    "image/",
    "application/zip",
    "application/dicom",
    "application/octet-stream",
    "application/x-npy",
    "application/vnd.apache.arrow",
)


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    settings = ServiceSettings.read(home=tmp_path_factory.mktemp("home"), open=True)
    return json.loads(json.dumps(create_app(settings).openapi()))


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_is_described(document):
    for name, operation in operations(document):
        for part in ("summary", "description", "tags"):
            assert operation.get(part), f"{name} has no {part}"


def test_operations_have_names_of_their_own(document):
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_every_operation_says_how_it_may_fail(document):
    for name, operation in operations(document):
        if "/health/" not in name:
            expected = {"401", "403", "413", "422", "429", "500", "503"}
            assert expected <= set(operation["responses"]), name


def test_every_body_has_an_example_that_fits(document):
    components = {"components": document["components"]}
    for name, operation in operations(document):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for what, said in bodies.items():
            for kind, body in said.get("content", {}).items():
                if kind.startswith(BINARY):
                    continue
                given = [body.get("example"), *body.get("examples", {}).values()]
                assert given != [None], f"{name}: {what} {kind}"
                if kind.endswith("json") or kind.startswith("multipart/"):
                    checked = Draft202012Validator({**body.get("schema", {}), **components})
                    for example in given if "example" in body else given[1:]:
                        value = example if "example" in body else example["value"]
                        faults = [e.message for e in checked.iter_errors(value)]
                        assert not faults, f"{name}: {what} {kind}: {value}"


def test_every_parameter_is_described(document):
    for name, operation in operations(document):
        for parameter in operation.get("parameters", []):
            schema = parameter["schema"]
            assert (
                "type" in schema or "anyOf" in schema or "$ref" in schema or "enum" in schema
            ), f"{name}: {parameter['name']}"
