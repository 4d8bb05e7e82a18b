"""A bundle runs with MONAI's own tools and says what our predictor says."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from evaluation.errors import InputError
from training.bundle import write_bundle
from training.config import RunConfig
from training.imaging import decode
from training.predictor import Predictor
from training.run import execute

TEXT = {"type": "string", "minLength": 1}
VERSIONS = {"type": "object", "minProperties": 1, "additionalProperties": TEXT}
DATA = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "type": "object",
        "required": ["type", "num_channels", "spatial_shape", "dtype", "value_range"],
        "properties": {
            "num_channels": {"type": "integer", "minimum": 1},
            "spatial_shape": {"type": "array", "items": {"type": "integer"}},
            "channel_def": VERSIONS,
        },
    },
}

#: What MONAI asks of metadata; its own schema is behind an address.
SCHEMA = {
    "type": "object",
    "required": [
        "version",
        "changelog",
        "monai_version",
        "pytorch_version",
        "numpy_version",
        "required_packages_version",
        "task",
        "description",
        "authors",
        "copyright",
        "network_data_format",
    ],
    "properties": {
        "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "changelog": VERSIONS,
        "required_packages_version": VERSIONS,
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {"inputs": DATA, "outputs": DATA},
        },
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that was really trained, for one epoch."""
    folder = tmp_path_factory.mktemp("runs")
    config = {
        "cohort": {
            "name": "tiny",
            "format": "phantom",
            "sample": "image_id",
            "patient": "patient",
            "source": {"patients": 40, "images": 1, "seed": 0},
            "label": {
                "column": "lesion",
                "classes": {"absent": ["absent"], "present": ["present"]},
            },
            "attributes": {"sex": {"categories": ["female", "male"]}},
        },
        "method": {"name": "erm", "epochs": 1},
        "size": 28,
        "audit": {"draws": 100, "metrics": ["auroc"], "minimum_patients": 2},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVENSCAN_CACHE", str(folder / "cache"))
        return execute(RunConfig.parse(config, "test"), folder / "run").directory


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    write_bundle(run, folder)
    return folder


def test_it_holds_what_a_bundle_holds_and_no_patient(bundle, run):
    names = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert names == {
        "LICENSE",
        "configs/inference.json",
        "configs/metadata.json",
        "docs/README.md",
        "models/contract.json",
        "models/model.onnx",
        "models/weights.safetensors",
    }
    with (run / "split.csv").open() as file:
        patients = {row["patient"] for row in csv.DictReader(file)}
    text = "".join((bundle / name).read_text() for name in names if "models/" not in name)
    assert not [patient for patient in patients if f'"{patient}"' in text]
    assert "Apache License" in (bundle / "LICENSE").read_text()


def test_its_metadata_fit(bundle):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    Draft202012Validator(SCHEMA).validate(metadata)
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"] == {
        "0": "absent",
        "1": "present",
    }


def test_nothing_is_half_written(run, bundle, tmp_path):
    with pytest.raises(InputError, match="there already"):
        write_bundle(run, bundle)
    with pytest.raises(InputError, match=r"there is no model\.onnx"):
        write_bundle(tmp_path, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_making_one_needs_no_torch(run, tmp_path):
    code = (
        "import sys; from pathlib import Path; from training.bundle import write_bundle; "
        "write_bundle(Path(sys.argv[1]), Path(sys.argv[2])); "
        "print([name for name in ('torch', 'monai', 'pandas') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(run), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
def test_monai_runs_it_and_says_what_the_predictor_says(bundle, run, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    generator = np.random.default_rng(0)
    for k, size in enumerate(((28, 28), (60, 40), (33, 90))):
        pixels = generator.integers(0, 255, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(images / f"{k}.png")
    _monai(bundle, "verify_net_in_out", "network_def", "--device", "cpu")
    _monai(bundle, "run", "--dataset_dir", str(images), "--output_dir", str(tmp_path))
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.reader(file))
    predictor = Predictor(run, threads=1)
    read = [
        decode(path.read_bytes(), predictor.contract, "") for path in sorted(images.iterdir())
    ]
    ours = predictor.predict(np.stack(read)).probability
    theirs = [[float(value) for value in row[1:]] for row in rows]
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    assert [Path(row[0]).name for row in rows] == ["0.png", "1.png", "2.png"]


def _monai(bundle, *arguments):
    configs = [
        "--config_file",
        "configs/inference.json",
        "--meta_file",
        "configs/metadata.json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "monai.bundle", *arguments, *configs],
        cwd=bundle,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
