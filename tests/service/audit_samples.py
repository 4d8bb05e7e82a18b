"""Predictions files, and jobs that tests wait for."""

import time

import numpy as np
import pandas as pd

#: Settings of an audit that takes half a second.
FEW = ("few.toml", '[audit]\ndraws = 100\nmetrics = ["auroc", "true_positive_rate"]\n')


def predictions(rows=80, seed=0):
    """A table of predictions; the truth is the same for every seed, the scores are not."""
    label = np.random.default_rng(0).integers(0, 2, rows)
    noise = np.random.default_rng(seed).random(rows)
    return pd.DataFrame(
        {
            "sample": [f"s{n}" for n in range(rows)],
            "patient": [f"p{n // 2}" for n in range(rows)],
            "label": label,
            "score": np.clip(0.3 * label + 0.6 * noise, 0, 1),
            "sex": np.where(np.arange(rows) % 3, "female", "male"),
        }
    )


def post(running, frame, name="mine.csv", headers=None, **data):
    """Ask for an audit of a table."""
    content = frame if isinstance(frame, bytes) else frame.to_csv(index=False)
    return running.client.post(
        "/v1/audits",
        files={"predictions": (name, content), "settings": FEW},
        data={"attributes": "sex"} | data,
        headers=headers,
    )


def ended(running, response, seconds=60):
    """The job of an accepted request, once it has ended."""
    assert response.status_code == 202, response.text
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = running.client.get(response.headers["location"]).json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise TimeoutError(job)


def succeeded(running, response):
    """The result of an accepted request."""
    job = ended(running, response)
    assert job["state"] == "succeeded", job
    return job["result"]
