"""Small inputs that the tests of the service share."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image

from service.models.registry import ModelRegistry
from service.services import Services
from service.settings import ServiceSettings
from service.storage.tables import ModelVersion

#: Where the open service believes to be called from.
HERE = "http://127.0.0.1"

COHORTS = Path(__file__).parents[2] / "cohorts"

#: A policy that every model with two classes in its test rows passes, and one that none does.
ANYTHING = {
    "name": "anything",
    "clause": [{"quantity": "overall", "metric": "auroc", "minimum": 0.0}],
}
NOTHING = {
    "name": "nothing",
    "clause": [{"quantity": "overall", "metric": "brier_score", "maximum": 0.0}],
}


def tiny(**changes: Any) -> dict[str, Any]:
    """Configuration of a run that takes a second or two."""
    cohort = {
        "name": "tiny",
        "format": "phantom",
        "sample": "image_id",
        "patient": "patient",
        "source": {"patients": 60, "images": 1, "seed": 0},
        "label": {
            "column": "lesion",
            "classes": {"absent": ["absent"], "present": ["present"]},
        },
        "attributes": {"sex": {"categories": ["female", "male"]}},
    }
    config = {
        "cohort": cohort,
        "method": {"name": "erm", "epochs": 1},
        "size": 28,
        "audit": {"draws": 100, "metrics": ["auroc", "brier_score"], "minimum_patients": 2},
        "policy": ANYTHING,
    }
    return config | changes


def png(size: int = 40, mode: str = "RGB") -> bytes:
    """An image file."""
    pixels = np.random.default_rng(size).integers(0, 255, (size, size, 3), np.uint8)
    data = BytesIO()
    Image.fromarray(pixels).convert(mode).save(data, "PNG")
    return data.getvalue()


@dataclass
class Running:
    """A service that is being called."""

    client: TestClient
    settings: ServiceSettings
    services: Services


def promoted(registry: ModelRegistry, run: Path) -> ModelVersion:
    """Register a run and make it the champion."""
    version = registry.register(run)
    registry.promote(version.id, "a test", "It is needed.")
    return version


def is_problem(response: Any, status: int) -> dict[str, Any]:
    """Check that a response is an error in the one form, and return its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "errors"}
    assert body["status"] == status
    for fault in body["errors"]:
        assert set(fault) == {"where", "found", "remedy", "row", "column"}
    return dict(body)
