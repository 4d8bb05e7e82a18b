"""A run is registered once, whole; the champion is the latest event."""

import shutil

import pytest
from service_samples import promoted
from sqlalchemy import func, select

from evaluation.errors import InputError
from service.models.conflicts import DeletedError, RefusedError
from service.models.registry import ModelRegistry
from service.storage.store import LocalStore
from service.storage.tables import AliasEvent, Job, ModelVersion


@pytest.fixture
def registry(database, tmp_path):
    return ModelRegistry(database, LocalStore(tmp_path), tmp_path / "models")


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_becomes_a_version(registry, trained):
    version = registry.register(trained, "job-1")
    assert (version.id, version.method, version.run) == (1, "erm", trained.name)
    assert files(registry.directory(version)) == files(trained)
    assert registry.store.names("models") == ["models/job-1"]


def test_checkpoints_are_left_out(registry, trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "checkpoint.safetensors").write_bytes(b"large")
    version = registry.register(run)
    assert "checkpoint.safetensors" not in files(registry.directory(version))


def test_a_job_registers_once(registry, trained):
    first, second = (registry.register(trained, "job-1") for _ in range(2))
    other = registry.register(trained, "job-2")
    assert (first.id, second.id, other.id) == (1, 1, 2)


def test_without_a_job_a_run_registers_once(registry, trained):
    assert registry.register(trained).id == registry.register(trained).id


def test_what_a_crash_left_is_replaced(registry, trained):
    """It died between moving the folder and committing the row, and while copying before."""
    for name in ("job-1", ".incoming-job-1"):
        (registry.folder / name).mkdir(parents=True)
        (registry.folder / name / "rubbish").touch()
    version = registry.register(trained, "job-1")
    assert files(registry.folder) == ["job-1"]
    assert "rubbish" not in files(registry.directory(version))


def test_an_unfinished_run_is_refused(registry, tmp_path):
    with pytest.raises(InputError, match=r"model\.onnx"):
        registry.register(tmp_path)
    assert not registry.folder.exists() or files(registry.folder) == []


def test_the_champion_is_the_latest_event(registry, trained):
    assert registry.champion() is None
    first = promoted(registry, trained)
    second = registry.register(trained, "job-2")
    registry.promote(second.id, "me", "better", "audit-1")
    registry.promote(first.id, "me", "back again")
    assert registry.champion().id == first.id
    events = registry.events(first.id)
    assert [(e.previous_id, e.version_id) for e in events] == [(None, 1), (1, 2), (2, 1)]
    assert events[1].audit == "audit-1"


def test_promoting_the_champion_again_adds_nothing(registry, trained):
    version = promoted(registry, trained)
    registry.promote(version.id, "me", "again")
    with registry.database.read() as session:
        assert session.scalar(select(func.count(AliasEvent.id))) == 1


def test_promotion_over_another_champion_than_compared(registry, trained):
    first, second, third = (registry.register(trained, f"job-{n}") for n in range(3))
    assert registry.promote_over(None, first.id, "job", "why", "audit")
    assert not registry.promote_over(None, second.id, "job", "why", "audit")
    assert registry.promote_over(first.id, third.id, "job", "why", "audit")
    assert registry.promote_over(first.id, third.id, "job", "repeated", "audit")
    assert registry.champion().id == third.id


@pytest.mark.parametrize("name", ["2", "0", "-1", "best", "", "1e3", "²", "9" * 40])
def test_unknown_names(registry, trained, name):
    registry.register(trained)
    with pytest.raises(InputError):
        registry.get(name)


def test_a_version_by_number_and_by_alias(registry, trained):
    version = promoted(registry, trained)
    assert registry.get("champion").id == registry.get(str(version.id)).id == version.id


def test_promoting_what_is_not_there(registry):
    with pytest.raises(InputError, match="no model version"):
        registry.promote(7, "me", "why")
    with registry.database.read() as session:
        assert session.scalar(select(func.count(ModelVersion.id))) == 0


def test_a_damaged_model_is_refused_and_leaves_nothing(registry, trained, tmp_path):
    damaged = shutil.copytree(trained, tmp_path / "damaged")
    model = damaged / "model.onnx"
    model.write_bytes(model.read_bytes()[:5000])
    with pytest.raises(InputError, match="cannot be loaded"):
        registry.register(damaged)
    shutil.copy(trained / "model.onnx", model)
    (damaged / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        registry.register(damaged)
    assert not registry.folder.exists() or files(registry.folder) == []


def test_a_promotion_says_who_and_why(registry, trained):
    version = registry.register(trained)
    with pytest.raises(InputError, match="'why' is empty"):
        registry.promote(version.id, "me", "  ")
    assert registry.champion() is None


def three(registry, trained):
    """Three versions, each made champion in turn."""
    numbers = [registry.register(trained, f"job-{n}").id for n in range(3)]
    for number in numbers:
        registry.promote(number, "me", "newer")
    return numbers


def test_rollbacks_walk_back_and_a_promotion_goes_on_from_there(registry, trained):
    first, second, third = three(registry, trained)
    assert registry.rollback("me", "worse").version_id == second
    assert registry.rollback("me", "worse too").version_id == first
    with pytest.raises(RefusedError, match="no champion before this one"):
        registry.rollback("me", "further")
    registry.promote(third, "me", "mended")
    event = registry.rollback("me", "not mended")
    assert (event.version_id, event.previous_id) == (first, third)
    assert registry.champion().id == first


def test_the_challenger_is_an_alias_of_its_own(registry, trained):
    first, second = (registry.register(trained, f"job-{n}").id for n in range(2))
    registry.promote(first, "me", "first")
    event = registry.challenge(second, "job", "registered", "audit")
    assert registry.challenge(second, "job", "repeated", "audit").id == event.id
    assert (registry.get("challenger").id, registry.get("champion").id) == (second, first)


def test_what_an_alias_points_to_is_not_deleted(registry, trained):
    first, second, third = three(registry, trained)
    registry.challenge(second, "job", "registered", None)
    for number, alias in ((third, "champion"), (second, "challenger")):
        with pytest.raises(RefusedError, match=f"is the {alias}"):
            registry.delete(number)
    registry.delete(first)
    registry.delete(first)
    with pytest.raises(DeletedError, match="was deleted"):
        registry.get(str(first))
    assert [row.id for row in registry.list()] == [third, second, first]
    assert registry.store.names("models") == ["models/job-1", "models/job-2"]


def test_what_an_open_job_uses_is_not_deleted(registry, trained):
    first, _ = (registry.register(trained, f"job-{n}").id for n in range(2))
    with registry.database.write() as session:
        session.add(Job(id="j", kind="audit", request={"model": str(first)}))
    with pytest.raises(RefusedError, match="job j uses version 1"):
        registry.delete(first)
    with registry.database.write() as session:
        session.get(Job, "j").state = "failed"
    registry.delete(first)


def test_nothing_deleted_comes_back(registry, trained):
    first, _, third = three(registry, trained)
    registry.rollback("me", "worse")
    registry.delete(first)
    for attempt in (lambda: registry.promote(first, "me", "why"), lambda: registry.delete(99)):
        with pytest.raises(InputError):
            attempt()
    with pytest.raises(RefusedError, match="version 1, was deleted"):
        registry.rollback("me", "further")
    registry.delete(third)
    assert registry.register(trained, "job-9").id == 4


def test_the_sweep_removes_what_a_crash_left_of_a_deleted_version(
    registry, trained, monkeypatch
):
    first = registry.register(trained, "job-1").id
    with monkeypatch.context() as patch:
        patch.setattr(registry.store, "remove", lambda name: None)
        registry.delete(first)
    assert registry.store.names("models") == ["models/job-1"]
    registry.sweep()
    assert registry.store.names("models") == []
