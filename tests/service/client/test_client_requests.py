"""What the client refuses to send, before it is sent, and how it sends the rest."""

import pytest
from client_samples import Troubled, asking

from evaluation.errors import InputError
from service.client import ServiceError


@pytest.mark.parametrize("name", ["", ".", "..", "../models", "a/b", "a\n", "\udcff"])
def test_an_id_never_leads_elsewhere(name):
    service = Troubled(body={})
    with asking(service) as client:
        for call in (
            client.job,
            client.cancel,
            client.delete_cohort,
            client.cohort_report,
            client.audit,
            client.revoke_key,
            client.model,
            client.logs,
            client.events,
        ):
            with pytest.raises(InputError, match=r"id: .* can be no id"):
                call(name)
    assert service.sent == []


def test_other_letters_of_an_id_are_quoted():
    service = Troubled(body={})
    with asking(service) as client:
        client.delete_cohort("a b?c#d%2F..é")
    assert service.sent[0].url.raw_path == b"/v1/cohorts/a%20b%3Fc%23d%252F..%C3%A9"


@pytest.mark.parametrize("path", ["", "v1/jobs", "//evil.example/v1", "http://evil.example/v1"])
def test_a_key_follows_no_link_elsewhere(path):
    service = Troubled(body={})
    with asking(service, key="evs_key") as client:
        with pytest.raises(InputError, match="no path of the service"):
            client.get(path)
        assert client.get("/v1/jobs/j") == {}
    assert [request.url.host for request in service.sent] == ["localhost"]


def test_files_that_cannot_be_sent_are_all_named_and_nothing_is_sent(tmp_path):
    empty, none = tmp_path / "empty.png", tmp_path / "none.png"
    empty.touch()
    service = Troubled(body={})
    with asking(service) as client:
        images = [empty, none, tmp_path, ("b.png", b""), ("", b"")]
        with pytest.raises(InputError) as refused:
            client.predictions(images)
        found = [fault.found for fault in refused.value.faults]
        folder = "it is a folder"
        assert found == ["it is empty", "there is no such file", folder, *["it is empty"] * 2]
        for call in (
            lambda: client.upload_cohort([empty], [("i.zip", b"x")], schema_name="phantom"),
            lambda: client.audit_file(empty, ["sex"]),
            lambda: client.counterfactuals([("a.png", b"x")], [empty]),
        ):
            with pytest.raises(InputError, match="it is empty"):
                call()
        for call in (
            lambda: client.predictions([]),
            lambda: client.embeddings(()),
            lambda: client.upload_cohort([], []),
        ):
            with pytest.raises(InputError, match="files: there are none"):
                call()
    assert service.sent == []


def test_a_form_without_files_is_a_form():
    service = Troubled(body={})
    with asking(service) as client, pytest.raises(ServiceError):
        client.upload_cohort([], [], schema_name="phantom")
    assert service.sent[0].headers["content-type"].startswith("multipart/form-data")
    assert b'name="schema_name"\r\n\r\nphantom' in service.sent[0].content
