"""A run is registered once, whole; the champion is the latest event."""

import shutil

import pytest
from service_samples import promoted
from sqlalchemy import func, select

from evaluation.errors import InputError
from service.tables import AliasEvent, ModelVersion


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_becomes_a_version(registry, trained):
    version = registry.register(trained, "job-1")
    assert (version.id, version.method, version.run) == (1, "erm", trained.name)
    assert files(registry.directory(version)) == files(trained)
    assert files(registry.folder) == ["1"]


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
    for name in ("1", ".incoming-job-1"):
        (registry.folder / name).mkdir(parents=True)
        (registry.folder / name / "rubbish").touch()
    version = registry.register(trained, "job-1")
    assert files(registry.folder) == ["1"]
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
