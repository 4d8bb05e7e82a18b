"""Who may stop jobs and try them again: whoever may ask for such a job."""

import pytest
from access_samples import key_of, locked
from service_samples import is_problem

from service.jobs.jobs import add
from service.storage.tables import Job


@pytest.fixture
def service(settings):
    """A service that needs keys, with a job of each kind."""
    with locked(settings.model_copy(update={"open": False})) as found:
        with found.services.database.write() as session:
            for kind in ("audit", "retrain"):
                add(session, Job(id=kind, kind=kind, request={}, who="an admin"))
        yield found


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", []), ("auditor", ["audit"]), ("trainer", ["audit", "retrain"])]
)
def test_jobs_are_stopped_by_whoever_may_ask_for_them(service, role, may):
    key = key_of(service, role)
    for kind in ("audit", "retrain"):
        assert service.client.get(f"/v1/jobs/{kind}", headers=key).status_code == 200
        for place in ("cancel", "retry"):
            response = service.client.post(f"/v1/jobs/{kind}/{place}", headers=key)
            if kind in may:
                assert response.status_code == 202, response.text
            else:
                is_problem(response, 403)


def test_jobs_are_listed_by_kind_state_and_who(service):
    key = key_of(service, "trainer")
    service.client.post("/v1/jobs/audit/cancel", headers=key)
    again = service.client.post("/v1/jobs/audit/retry", headers=key).json()["job"]

    def listed(**query):
        page = service.client.get("/v1/jobs", params=query, headers=key).json()
        return [job["id"] for job in page["items"]]

    assert listed() == [again, "retrain", "audit"]
    assert listed(kind="audit") == [again, "audit"]
    assert listed(state="cancelled") == ["audit"]
    assert listed(who="a trainer") == [again]
    assert listed(kind="retrain", who="a trainer") == []
    is_problem(service.client.get("/v1/jobs?state=lost", headers=key), 422)


def test_pages_of_jobs_hold_each_job_once(service):
    key = key_of(service, "viewer")
    with service.services.database.write() as session:
        for number in range(7):
            add(session, Job(id=f"more-{number}", kind="audit", request={}))
    seen, cursor = [], ""
    while cursor is not None:
        page = service.client.get(f"/v1/jobs?limit=4{cursor}", headers=key).json()
        seen += [job["id"] for job in page["items"]]
        cursor = page["next"] and f"&cursor={page['next']}"
    assert len(seen) == len(set(seen)) == 9
