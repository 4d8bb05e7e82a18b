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
from training.bundle import BUNDLE_VERSION, write_bundle
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
        "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
        "properties": {
            "type": TEXT,
            "format": TEXT,
            "num_channels": {"type": "integer", "minimum": 1},
            "spatial_shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
            "dtype": TEXT,
            "value_range": {"type": "array", "items": {"type": "number"}},
            "is_patch_data": {"type": "boolean"},
            "channel_def": VERSIONS,
        },
    },
}
TEXTS = (
    "schema",
    "monai_version",
    "pytorch_version",
    "numpy_version",
    "task",
    "description",
    "authors",
    "copyright",
    "data_source",
    "data_type",
    "intended_use",
)

#: What MONAI's schema of 25 July 2024 asks of metadata, and a little more: its own is behind an
#: address, and tests need no network.
SCHEMA = {
    "type": "object",
    "required": [*TEXTS, "version", "changelog", "required_packages_version"],
    "properties": {
        **dict.fromkeys(TEXTS, TEXT),
        "schema": {"const": "https://project-monai.github.io/schema/meta_schema_20240725.json"},
        "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "changelog": VERSIONS,
        "required_packages_version": VERSIONS,
        "references": {"type": "array", "items": TEXT},
    },
    # Every network of the bundle is described under a name of this form, one of them always.
    "patternProperties": {
        "^[_a-zA-Z0-9]+_data_format$": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {"inputs": DATA, "outputs": DATA},
        },
    },
}
SCHEMA["required"].append("network_data_format")


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


#: What a user of MONAI does with a bundle. A process of its own: MONAI imports its engine while
#: warnings are no errors, or never again.
USED = """
import json, sys
from monai.bundle import ConfigWorkflow, verify_net_in_out

config, meta, folders = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
verify_net_in_out("network_def", meta, config, device="cpu", bundle_root=folders["bundle_root"])
workflow = ConfigWorkflow(config, meta, workflow_type="inference", **folders)
workflow.initialize()
missing = workflow.check_properties()
workflow.run()
print(json.dumps([missing, str(workflow.device), len(workflow.dataset), workflow.version]))
"""


def test_monai_finds_it_whole_and_says_what_the_predictor_says(bundle, images, run, tmp_path):
    folders = {
        "bundle_root": str(bundle),
        "dataset_dir": str(images),
        "output_dir": str(tmp_path / "out"),
    }
    configs = [str(bundle / "configs" / f"{name}.json") for name in ("inference", "metadata")]
    command = [sys.executable, "-c", USED, *configs, json.dumps(folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == [[], "cpu", 2, BUNDLE_VERSION]
    assert_same(tmp_path / "out" / "predictions.csv", images, run)


def assert_same(predictions, images, run):
    """The lines that MONAI wrote are those of our predictor, in the order of the names."""
    with predictions.open() as file:
        rows = list(csv.reader(file))
    predictor = Predictor(run, threads=1)
    files = sorted(images.iterdir())
    read = [decode(path.read_bytes(), predictor.contract, "") for path in files]
    ours = predictor.predict(np.stack(read)).probability
    theirs = [[float(value) for value in row[1:]] for row in rows]
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    assert [Path(row[0]).name for row in rows] == [path.name for path in files]


@pytest.fixture
def images(tmp_path):
    """A folder with two files."""
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name, size in (("wide", (33, 90)), ("exact", (28, 28))):
        pixels = generator.integers(0, 255, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


@pytest.mark.slow
def test_its_commands_do_the_same(bundle, images, run, tmp_path):
    _monai(bundle, "verify_net_in_out", "network_def", "--device", "cpu")
    _monai(bundle, "run", "--dataset_dir", str(images), "--output_dir", str(tmp_path))
    assert_same(tmp_path / "predictions.csv", images, run)


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
