"""The client at an address where something else answers."""

import httpx2
import pytest
from client_samples import asking, calls

from service.client import ServiceError

#: What a server that is none of this service may say to anything.
FOREIGN = {
    "a page": httpx2.Response(200, text="<html>Welcome</html>"),
    "nothing": httpx2.Response(204),
    "an empty object": httpx2.Response(200, json={}),
    "a list": httpx2.Response(200, json=[{}]),
    "null": httpx2.Response(200, json=None),
    "pages of its own": httpx2.Response(200, json={"results": [], "count": 0}),
    "items of its own": httpx2.Response(200, json={"items": [{"a": 1}], "next": None}),
    "items that are none": httpx2.Response(200, json={"items": 3, "next": 4}),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_service_is_named_as_such(kind, tmp_path):
    said = FOREIGN[kind]
    content = {"content": said.content, "headers": dict(said.headers)}

    def answer(request):
        return httpx2.Response(said.status_code, **content)

    def said_of(call):
        try:
            call()
        except ServiceError as error:
            return error.detail
        return None

    with asking(answer) as client:
        found = [said_of(call) for call in calls(client, tmp_path)]
    assert set(found) == {None, "The answer is none of this service. Check the address."}
    # Deletions, downloads, metrics and JSON of any form have nothing to be known by.
    assert found.count(None) <= 20


def test_a_packing_that_is_none_is_no_service():
    def garbled(request):
        return httpx2.Response(200, content=b"x", headers={"Content-Encoding": "gzip"})

    with asking(garbled) as client, pytest.raises(ServiceError, match="none of this service"):
        client.aliases()


@pytest.mark.parametrize(
    "event", ["data: x", "data: [1]", 'id: x\ndata: {"text": "a"}', 'data: {"text": [1]}']
)
def test_events_that_are_none_are_no_service(event):
    def stream(request):
        headers = {"Content-Type": "text/event-stream"}
        return httpx2.Response(200, text=f"{event}\n\n", headers=headers)

    with asking(stream) as client, pytest.raises(ServiceError, match="none of this service"):
        list(client.events("j"))
