"""Writes a finished run as a MONAI bundle: a model with all that is needed to apply it."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from evaluation.errors import Fault, InputError
from evaluation.files import atomic_path
from training.bundle_card import bundle_card, licence
from training.imaging import InputContract
from training.predictor import ModelContract
from training.weak_groups import WeakGroup, read_audit

#: What a run needs to become a bundle.
NEEDED: Final = ("config.json", "contract.json", "environment.json", "audit.json", "model.onnx")

#: Version of the bundles that are written, for their change log.
BUNDLE_VERSION: Final = "1.0.0"

#: MONAI and what its engine needs, in the versions that the configuration was tried with.
#: Written down, not asked for: the service writes bundles where none of them is installed.
MONAI: Final = "1.6.1"
ENGINE: Final = {"pytorch-ignite": "0.5.5", "fire": "0.7.1"}

#: Form of the metadata, for MONAI's own check: its newest, where it is promised to stay.
SCHEMA: Final = "https://project-monai.github.io/schema/meta_schema_20240725.json"

#: Fewest patients of a group whose numbers are shown, where the audit does not say.
SMALLEST: Final = 10

NOT_STATED: Final = "not stated"


def write_bundle(run: Path, folder: Path) -> None:
    """Write a finished run as a MONAI bundle.

    It holds ``configs/metadata.json``, ``configs/inference.json``, ``models/model.onnx`` with
    its ``contract.json``, ``models/weights.safetensors`` if the run has it, ``docs/README.md``
    and ``LICENSE``: no pickle, nothing that tells of a patient or sample, and no numbers of
    small groups. The same run gives the same bytes.

    Args:
        run: Directory of a finished run. It is left unchanged.
        folder: Folder to make. It must not exist yet, or be empty.

    Raises:
        InputError: The run has not finished, its files are damaged, or the folder is in use;
            nothing is written then.
    """
    texts = _texts(run)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(Fault(str(folder), "it is there already", "Choose another folder."))
    with atomic_path(folder) as partial:
        for name, text in texts.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        models = partial / "models"
        models.mkdir()
        for name in ("contract.json", "model.onnx", "weights.safetensors"):
            if (run / name).is_file():
                shutil.copyfile(run / name, models / name)


def _texts(run: Path) -> dict[str, str]:
    """The texts of a bundle, by name."""
    missing = [name for name in NEEDED if not (run / name).is_file()]
    if missing:
        remedy = "Give the directory of a finished run."
        raise InputError(*(Fault(str(run), f"there is no {name}", remedy) for name in missing))
    try:
        about = _metadata(run)
    except (ValueError, LookupError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        found = f"its files are damaged: {error}"
        raise InputError(Fault(str(run), found, "Train it anew.")) from None
    return {
        "configs/metadata.json": _json(about),
        "configs/inference.json": _json(INFERENCE),
        "docs/README.md": bundle_card(about),
        "LICENSE": licence(about),
    }


def _metadata(run: Path) -> dict[str, Any]:
    config, environment, audit = (
        json.loads((run / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("config", "environment", "audit")
    )
    saved = json.loads((run / "contract.json").read_text(encoding="utf-8"))
    contract = ModelContract.parse(saved, str(run / "contract.json"))
    cohort, about = config["cohort"], audit.get("about", {})
    task = f"Classification of images: {' or '.join(contract.classes)}"
    source = (cohort.get("title") or cohort["name"], cohort.get("url"))
    return {
        "schema": SCHEMA,
        "version": BUNDLE_VERSION,
        "changelog": {BUNDLE_VERSION: "The run as it was audited."},
        "monai_version": MONAI,
        "pytorch_version": environment["torch"].partition("+")[0],
        "numpy_version": environment["numpy"],
        "required_packages_version": {
            **ENGINE,
            "onnxruntime": environment["onnxruntime"],
            "evenscan": version("evenscan"),
        },
        "name": about.get("name") or f"{contract.method} on {cohort['name']}",
        "task": task,
        "description": about.get("summary") or f"{task}, trained by {contract.method}.",
        "authors": about.get("developer") or NOT_STATED,
        "copyright": about.get("license") or NOT_STATED,
        "data_source": ", ".join(each for each in source if each),
        "data_license": cohort.get("licence") or NOT_STATED,
        "data_type": "PNG, JPEG, TIFF or DICOM",
        "intended_use": about.get("intended_use")
        or "Not stated. Research only; it is no medical device.",
        "references": [each for each in (cohort.get("citation"),) if each],
        "network_data_format": _data_format(contract),
        "evenscan": {"method": contract.method, **_audited(run, audit)},
    }


def _audited(run: Path, audit: dict[str, Any]) -> dict[str, Any]:
    """What the audit says, without numbers of small groups and without names of samples."""
    weaknesses = read_audit(run).weaknesses
    smallest = audit["spec"].get("smallest_cell", SMALLEST)
    policy = audit.get("policy")
    return {
        "audited_by": f"evenscan {audit['evenscan']}",
        "audit_digest": audit["digest"],
        "verdict": audit["verdict"],
        "policy": policy["name"] if policy else None,
        "clauses": [
            {"clause": each["clause"], "verdict": each["verdict"]}
            for each in audit.get("clauses", ())
        ],
        "thresholds": [
            {name: each[name] for name in ("target", "value", "rule")}
            for each in audit["thresholds"]
        ],
        "weak_groups": [_shown(each, smallest) for each in weaknesses.weak],
        "unknown_groups": [each.group for each in weaknesses.unknown],
        "note": weaknesses.note,
    }


def _shown(weak: WeakGroup, smallest: int) -> dict[str, Any]:
    shown = weak.model_dump(include={"group", "target", "metric", "against"})
    if weak.n is None or weak.n < smallest:
        return shown
    return shown | weak.model_dump(include={"value", "low", "high"})


def _data_format(contract: ModelContract) -> dict[str, Any]:
    image: InputContract = contract.input
    colours = image.channels == 3 and image.dimensions == 2
    names = ("red", "green", "blue") if colours else range(image.channels)
    return {
        "inputs": {
            "image": {
                "type": "image",
                "format": "RGB" if colours else "magnitude",
                "modality": "n/a",
                "num_channels": image.channels,
                "spatial_shape": list(image.shape[1:]),
                "dtype": "float32",
                "value_range": [0, 1],
                "is_patch_data": False,
                "channel_def": {
                    str(place): name if colours else f"channel {name}"
                    for place, name in enumerate(names)
                },
            }
        },
        "outputs": {
            "pred": {
                "type": "probabilities",
                "format": "classes",
                "num_channels": len(contract.classes),
                "spatial_shape": [],
                "dtype": "float32",
                "value_range": [0, 1],
                "is_patch_data": False,
                "channel_def": {
                    str(place): name for place, name in enumerate(contract.classes)
                },
            }
        },
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


#: Writes ``predictions.csv`` with the probabilities of all images of ``dataset_dir``.
INFERENCE: Final[dict[str, Any]] = {
    "imports": ["$import torch"],
    "bundle_root": ".",
    "dataset_dir": "$@bundle_root + '/images'",
    "output_dir": "$@bundle_root + '/eval'",
    "device": "$torch.device('cpu')",
    "batch_size": 16,
    "network_def": {
        "_target_": "training.bundle_parts.OnnxNetwork",
        "path": "$@bundle_root + '/models/model.onnx'",
    },
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {
                "_target_": "training.bundle_parts.ReadImage",
                "keys": "image",
                "contract": "$@bundle_root + '/models/contract.json'",
            }
        ],
    },
    "dataset": {
        "_target_": "Dataset",
        "data": {"_target_": "training.bundle_parts.image_files", "folder": "@dataset_dir"},
        "transform": "@preprocessing",
    },
    "dataloader": {
        "_target_": "DataLoader",
        "dataset": "@dataset",
        "batch_size": "@batch_size",
        "shuffle": False,
        "num_workers": 0,
    },
    "inferer": {"_target_": "SimpleInferer"},
    "handlers": [
        {
            "_target_": "ClassificationSaver",
            "output_dir": "@output_dir",
            "filename": "predictions.csv",
            "batch_transform": "$lambda batch: [each['image'].meta for each in batch]",
            "output_transform": "$lambda output: [each['pred'] for each in output]",
        }
    ],
    "evaluator": {
        "_target_": "SupervisedEvaluator",
        "device": "@device",
        "val_data_loader": "@dataloader",
        "network": "@network_def",
        "inferer": "@inferer",
        "val_handlers": "@handlers",
        "amp": False,
    },
    "run": ["$@evaluator.run()"],
}
