"""The texts of a bundle for people: its card, and what it may be used under."""

from collections.abc import Iterator
from typing import Any

RUNNING = """\
## How to apply it

    pip install 'evenscan[training]' pytorch-ignite fire
    python -m monai.bundle run --config_file configs/inference.json \\
        --meta_file configs/metadata.json --bundle_root . --dataset_dir IMAGES

writes `eval/predictions.csv`: a line for each file below `IMAGES`, with its name and the
probabilities of the classes in their order. Images are read by the same code as in training and
serving. `--output_dir FOLDER` writes elsewhere.

MONAI runs what a configuration names: run bundles from people you trust only.

## Weights

`models/model.onnx` is the model that was audited. `models/weights.safetensors`, if it is
there, holds the parameters for further training. Neither is a pickle, and there is no
`model.pt`: to load a pickle is to run whatever code somebody has put into it.
"""


def bundle_card(about: dict[str, Any]) -> str:
    """The card of a bundle, as Markdown.

    Args:
        about: Metadata of the bundle.
    """
    image = about["network_data_format"]["inputs"]["image"]
    classes = about["network_data_format"]["outputs"]["pred"]["channel_def"].values()
    shape = " x ".join(map(str, image["spatial_shape"]))
    audited = about["evenscan"]
    parts = [
        f"# {_line(about['name'])}\n\n{_line(about['description'])}",
        f"## What it is for\n\n{_line(about['intended_use'])}",
        "## Model\n\n"
        + "\n".join(
            (
                f"- Method: {audited['method']}",
                f"- Input: {image['num_channels']} x {shape}, {image['format']}, in [0, 1]",
                f"- Classes: {', '.join(map(_line, classes))}",
                f"- Trained on: {_line(about['data_source'])}",
                f"- Authors: {_line(about['authors'])}",
            )
        ),
        "## Audit\n\n" + "\n".join(_audit(audited)),
        "## Groups that it serves worse\n\n" + "\n".join(_weak(audited)),
        "## Limits\n\n" + "\n".join(_limits(audited)),
        RUNNING,
    ]
    return "\n\n".join(parts)


def licence(about: dict[str, Any]) -> str:
    """What a bundle may be used under.

    Args:
        about: Metadata of the bundle.
    """
    cited = "".join(f"Please cite: {each}\n" for each in about["references"])
    return (
        "The configuration files of this bundle are under the Apache License, Version 2.0,\n"
        "http://www.apache.org/licenses/LICENSE-2.0\n\n"
        f"Model and weights: {about['copyright']}.\n"
        f"Data that they were trained on: {about['data_source']}; "
        f"licence: {about['data_license']}.\n{cited}"
    )


def _audit(audited: dict[str, Any]) -> Iterator[str]:
    verdict = audited["verdict"] or "none: no policy was asked for"
    yield f"- Verdict: **{verdict}**"
    if audited["policy"]:
        yield f"- Policy: {_line(audited['policy'])}"
    for each in audited["clauses"]:
        yield f"    - {each['verdict'] or 'not judged'}: {_line(each['clause'])}"
    for each in audited["thresholds"]:
        of = f" of {_line(each['target'])}" if each["target"] else ""
        yield f"- Frozen threshold{of}: {each['value']} ({each['rule']})"
    by, digest = audited["audited_by"], audited["audit_digest"]
    yield f"- Made by {by} of predictions with SHA-256 {digest}"


def _weak(audited: dict[str, Any]) -> Iterator[str]:
    if audited["note"]:
        yield audited["note"]
    elif not audited["weak_groups"]:
        yield "None was shown. This is no proof that there is none."
    for each in audited["weak_groups"]:
        value = f" {each['value']:.3f}" if "value" in each else ""
        if value and each["low"] is not None and each["high"] is not None:
            value += f" (95 % interval {each['low']:.3f} to {each['high']:.3f})"
        group, other = _line(each["group"]), _line(each["against"])
        yield f"- {group}: {each['metric']}{value}, against {other}"


def _limits(audited: dict[str, Any]) -> Iterator[str]:
    yield "- The audit tells of its test images only; elsewhere it needs an audit of its own."
    yield "- Probabilities are decided at the frozen threshold; another one was not audited."
    yield "- Numbers of groups with few patients are not shown here."
    if audited["unknown_groups"]:
        groups = ", ".join(map(_line, audited["unknown_groups"]))
        yield f"- Too few patients for a statement, so they may be weak too: {groups}."


def _line(text: str) -> str:
    """Text of other people on one line, which can begin no heading and no HTML."""
    return " ".join(text.split()).replace("<", "&lt;").replace(">", "&gt;")
