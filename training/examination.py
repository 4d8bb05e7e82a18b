"""The counterfactual style test of a finished run, with its own and other classifiers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evaluation.audit import Audit
from evaluation.counterfactual import style_effects
from evaluation.counterfactual_table import Counterfactuals
from evaluation.errors import Fault, InputError, unknown_name
from evaluation.inputs import Input
from evaluation.pair_means import Sampling
from evaluation.predictions import Predictions
from evaluation.reconstruction import CounterfactualSpec
from evaluation.report import write as write_report
from evaluation.spec import AuditSpec
from evaluation.threshold import choose_thresholds, decided_from
from training.cache import cache_folder, cached_pixels
from training.classifier import Classifier, OnnxClassifier, OwnClassifier
from training.cohort import Cohort, read_cohort
from training.counterfactual import Judge, Rows
from training.exchange import Exchange
from training.imaging import Pixels
from training.making import OnStep, Step
from training.predictor import Predictor
from training.run import Run, load_run, read_split


def examine(
    directory: Path,
    out: Path,
    report: OnStep,
    *,
    classifiers: Sequence[Path] = (),
    attributes: Sequence[str] = (),
    threshold: float | None = None,
    options: dict[str, Any] | None = None,
) -> Audit:
    """Exchange the styles of a run's test images and look at them with several classifiers.

    Args:
        directory: A finished run whose method has a decoder.
        out: Folder for the scores, the pictures and the run's report with this section.
        report: Told what is being done.
        classifiers: ONNX files of others, see :class:`training.classifier.OnnxClassifier`.
        attributes: Whose groups styles are exchanged between; none means those of the run.
        threshold: Of the other classifiers. None: each one's is chosen on the validation rows.
        options: Settings of :class:`evaluation.reconstruction.CounterfactualSpec` to change.

    Returns:
        The run's audit with the new findings.

    Raises:
        InputError: There is no such run, its method has no decoder, its cohort has changed, a
            classifier or a setting does not fit, or no image has a partner. Nothing is written
            then.
    """
    run = load_run(directory)
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(Fault("--threshold", f"it is {threshold}", "Scores are in [0, 1]."))
    spec = _spec(run.audit.spec.counterfactual, options or {})
    predictor = Predictor(directory)
    if not (predictor.has_decoder and predictor.has_style):
        found = f"its method {predictor.method} has no decoder.onnx"
        remedy = "Give a run of a method that splits images into content and style."
        raise InputError(Fault(str(directory), found, remedy))
    chosen = _attributes(run, attributes)
    others = [
        OnnxClassifier(path, predictor.contract, len(predictor.classes)) for path in classifiers
    ]
    judged: list[Classifier] = [OwnClassifier(predictor), *others]
    names = [each.name for each in judged]
    if len(set(names)) < len(names):
        found = f"two classifiers have one name: {', '.join(names)}"
        raise InputError(Fault("--classifier", found, "Rename a file."))
    report(Step("reading the cohort", 0, None))
    cohort = _same_cohort(run)
    pixels = cached_pixels(
        cohort,
        run.config.contract,
        cache_folder(),
        lambda done, total: report(Step("decoding images", done, total)),
    )
    placed = read_split(directory)["split"].reindex(cohort.table.index).to_numpy()
    own = decided_from(run.audit.thresholds).get("", float("nan"))
    validation = np.flatnonzero(placed == "validation")
    limits = [
        own,
        *(_threshold(each, threshold, cohort, pixels, validation) for each in others),
    ]
    exchange = Exchange(
        predictor,
        cohort,
        pixels,
        np.flatnonzero(placed == "test"),
        [each for each in run.audit.spec.attributes if each.name in chosen],
        spec,
        run.config.seed,
    )
    swaps = exchange.write(
        out, [Judge(*each) for each in zip(judged, limits, strict=True)], report
    )
    if swaps is None:
        found = "no test image has a partner of another patient and the same label"
        raise InputError(Fault(str(directory), found, "Give a run with more test images."))
    audit = _with_findings(run.audit, swaps, spec)
    write_report(audit, out)
    return audit


def _spec(known: CounterfactualSpec, options: dict[str, Any]) -> CounterfactualSpec:
    return CounterfactualSpec.parse(known.model_dump() | options, "counterfactual")


def _attributes(run: Run, asked: Sequence[str]) -> list[str]:
    there = [
        each.name
        for each in run.audit.spec.attributes
        if each.name in run.config.cohort.attributes
    ]
    for name in asked:
        if name not in there:
            raise unknown_name("attribute of the run", name, there, "--attribute")
    if not there:
        remedy = "Give a run that audits an attribute."
        raise InputError(Fault(str(run.directory), "no attribute was audited", remedy))
    return list(asked) or there


def _same_cohort(run: Run) -> Cohort:
    cohort = read_cohort(run.config.cohort)
    described = json.loads((run.directory / "cohort.json").read_text(encoding="utf-8"))
    if described["fingerprint"] != cohort.fingerprint:
        found = "its data have changed since the run"
        remedy = "Restore them, or train anew."
        raise InputError(Fault(f"cohort {cohort.schema.name}", found, remedy))
    return cohort


def _threshold(
    classifier: Classifier,
    given: float | None,
    cohort: Cohort,
    pixels: Pixels,
    validation: Rows,
) -> float:
    """Threshold of another classifier: test rows choose nothing."""
    if given is not None or len(cohort.schema.classes) > 2 or len(validation) == 0:
        return 0.5 if given is None else given
    score = classifier.probability(np.asarray(pixels[validation]))[:, 1]
    rows = cohort.table.iloc[validation]
    table = pd.DataFrame(
        {
            "sample": rows.index,
            "patient": rows["patient"].to_numpy(),
            "label": rows["label"].to_numpy(),
            "split": "validation",
            "score": score,
        }
    )
    predictions = Predictions.from_table(table, source=classifier.name)
    return choose_thresholds(predictions, AuditSpec())[0].value


def _with_findings(audit: Audit, swaps: Counterfactuals, spec: CounterfactualSpec) -> Audit:
    asked = audit.spec.model_copy(update={"counterfactual": spec})
    sampling = Sampling(asked.draws, asked.seed, asked.confidence, asked.minimum_patients)
    found = style_effects(swaps, decided_from(audit.thresholds), spec, sampling)
    inputs = [each for each in audit.inputs if each.what not in ("counterfactuals", "settings")]
    return audit.model_copy(
        update={
            "spec": asked,
            "inputs": (*inputs, swaps.input(), Input.of_settings("settings", "spec", asked)),
            "counterfactuals": found.effects,
            "reconstructions": found.reconstructions,
            "pictures": swaps.pictures,
        }
    )
