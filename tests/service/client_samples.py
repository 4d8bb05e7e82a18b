"""A service that has troubles, and every call of the client."""

import httpx2

from service.client import Client
from service.client.audits import AUDIT_FILES

PROBLEM = {"type": "about:blank", "title": "No", "detail": "Not now.", "errors": []}


class Troubled:
    """A service that answers with these first, and with a body then."""

    def __init__(self, *troubles, body):
        self.troubles, self.body, self.sent = list(troubles), body, []

    def __call__(self, request):
        self.sent.append(request)
        request.read()
        if not self.troubles:
            return httpx2.Response(200, json=self.body)
        if isinstance(trouble := self.troubles.pop(0), Exception):
            raise trouble
        return trouble


def later(status, seconds="0"):
    return httpx2.Response(status, json=PROBLEM, headers={"Retry-After": seconds})


def asking(service, **more):
    return Client("http://localhost", transport=httpx2.MockTransport(service), **more)


def calls(client, folder):
    """Every method, with arguments that it takes."""
    file = folder / "file"
    file.write_bytes(b"content")
    images = [("a.png", b"image")]
    return [
        lambda: client.predictions(images),
        lambda: client.embeddings(images),
        lambda: client.embedding_array(images),
        lambda: client.counterfactuals(images, images),
        lambda: client.upload_cohort([file], [file], schema=file),
        lambda: client.register_cohort("folder", schema_name="phantom"),
        lambda: list(client.cohorts()),
        lambda: client.cohort("c"),
        lambda: client.cohort_report("c"),
        lambda: client.delete_cohort("c"),
        lambda: client.retrain({"method": "erm"}),
        lambda: client.audit_file(file, ["sex"]),
        lambda: client.audit_model(1, "c"),
        lambda: client.audit_file(file, ["sex"], champion=file),
        lambda: client.compare(1, 2, "c"),
        lambda: list(client.audits()),
        lambda: client.audit("a"),
        *(
            lambda end=end: client._connection.download(f"/v1/audits/a{end}", folder / "x")
            for end, _ in AUDIT_FILES.values()
        ),
        lambda: client._connection.download("/v1/audits/a/report.pdf", folder / "x"),
        lambda: client.audit_summary("a"),
        lambda: client.audit_tables("a"),
        lambda: client.download_audit_table("a", "gaps", folder / "x"),
        lambda: client.download_audit_predictions("a", folder / "x"),
        lambda: client.delete_audit("a"),
        lambda: list(client.models()),
        lambda: client.model(1),
        lambda: client.promote(1, "why"),
        lambda: client.aliases(),
        lambda: list(client.moves()),
        lambda: client.rollback("why"),
        lambda: client.download_model(1, folder / "x"),
        lambda: client.download_model(1, folder / "x", "run"),
        lambda: client.delete_model(1),
        lambda: list(client.jobs()),
        lambda: client.job("j"),
        lambda: list(client.logs("j")),
        lambda: list(client.events("j")),
        lambda: client.cancel("j"),
        lambda: client.retry("j"),
        lambda: client.create_key("a", "viewer"),
        lambda: list(client.keys()),
        lambda: client.revoke_key("k"),
        lambda: client.live(),
        lambda: client.startup(),
        lambda: client.is_ready(),
        lambda: client.metrics(),
    ]
