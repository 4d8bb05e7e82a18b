"""Leakage: what can be read from the embeddings, and what their dimensions tell."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, field_validator
from threadpoolctl import threadpool_limits

from evaluation.embeddings import PIXELS
from evaluation.findings import Leakage
from evaluation.intervals import percentile_interval
from evaluation.latent_information import LatentInformation, latent_information
from evaluation.latent_map import LatentMap, latent_map
from evaluation.latent_modes import LatentMode, latent_modes
from evaluation.metric import Array
from evaluation.principal import principal_components
from evaluation.probe import PROBES
from evaluation.probe_scores import ProbeScores
from evaluation.settings import Settings
from evaluation.strata import TOO_FEW, TOO_FEW_GIVEN_LABEL, Stratum, strata

#: The probe whose permutations stand in for those of a probe that is too slow to refit.
SUBSTITUTE = "linear"


class LeakageSpec(Settings):
    """How embeddings are probed.

    Attributes:
        probes: Names of the probe families. The linear one finds what a linear classifier could
            use; the others find what is there in any form, at some seconds each for 10,000
            samples.
        folds: Of the cross-validation, over patients.
        permutations: Of the attribute among patients, for the band of chance.
        widest: An embedding with more dimensions is read in so many principal components. What
            hides in the remaining ones is not found, so a certificate for a wide embedding
            wants this raised.
        modes: Principal components of each embedding that are tested one by one.
        mode_permutations: At most, for such a test.
        points: Patients on a map, at most.
    """

    probes: tuple[str, ...] = Field(default=("linear",), min_length=1)
    folds: int = Field(default=5, ge=3, le=20)
    permutations: int = Field(default=100, ge=20, le=10_000)
    widest: int = Field(default=256, ge=2)
    modes: int = Field(default=5, ge=1, le=100)
    mode_permutations: int = Field(default=4999, ge=99, le=1_000_000)
    points: int = Field(default=600, ge=1, le=5000)

    @field_validator("probes")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            PROBES.check(name, "leakage.probes")
        return tuple(dict.fromkeys(names))


class LeakageFindings(NamedTuple):
    """What was found in the embeddings.

    Attributes:
        probes: What can be read, by latent, attribute, whether the label is given, and probe.
        information: What the dimensions of content and style tell, by attribute.
        modes: Whether groups differ along the main directions of content and style.
        maps: One for each latent, to look at.
    """

    probes: tuple[Leakage, ...] = ()
    information: tuple[LatentInformation, ...] = ()
    modes: tuple[LatentMode, ...] = ()
    maps: tuple[LatentMap, ...] = ()


def leakages(
    embedding: Mapping[str, Array],
    attributes: Mapping[str, pd.Categorical],
    label: Array,
    patient: Array,
    spec: LeakageSpec,
    draws: int,
    seed: int,
    confidence: float,
    on_progress: Callable[[int, int], None] | None = None,
    target: str = "",
) -> LeakageFindings:
    r"""Probe each embedding for each attribute, with and without the label, and for the label.

    Within a label, because an embedding that knows the label knows every attribute that goes
    with it; over all samples too, since that is what somebody who holds the embedding can read.
    Models are fitted and chosen in folds that share no patient; see
    :func:`evaluation.probe.out_of_fold`. Splitting by image instead would read the patient:
    0.82 where 0.49 is true.

    A band of chance comes from the same probe, selection included, on the attribute permuted
    among patients. A probe that is too slow for that (``mlp``) is given the linear probe's,
    which is about right, since chance depends on the patients scored more than on who scores
    them, but is not its own; the finding says so.

    Weights of rows play no part: the question is what an embedding holds, not how often.

    Args:
        embedding: Latent (``content``, ``style``, ``pixels``) to ``[n, d]``, finite.
        attributes: Name to ``[n]`` values; samples where one is missing are left out of it.
        label: ``[n]``, any number of classes; NaN where unknown, such samples take part only
            where the label plays none.
        patient: ``[n]``.
        spec: What to do.
        draws: Bootstrap draws of an interval, over patients, of the fixed out-of-fold scores.
            So the interval is of these models on other patients, not of other models.
        seed: Of folds, draws, permutations and samples.
        confidence: Of the two-sided intervals, in (0, 1).
        on_progress: Called with the questions answered and their number.
        target: Name of the target that the label is of, for the findings.

    Returns:
        The findings. NaN, with their reason, where no two categories have 20 patients each.
        Cost: for each latent and question the probe's own, ``permutations n log n`` for the
        band and ``draws n`` for the interval, each times the number of categories (one if they
        are two).

    References:
        Glocker et al. (2023), *Algorithmic encoding of protected characteristics in chest X-ray
        disease detection models*, eBioMedicine 89, 104467 (probing embeddings for attributes).
        Varma and Simon (2006), *Bias in error estimation when using cross-validation for model
        selection*, BMC Bioinformatics 7, 91 (nested cross-validation).
    """
    questions = list(_questions(attributes, label))
    done, steps = 0, len(questions) * len(embedding)
    probes: list[Leakage] = []
    # The products are small: threads would wait for each other longer than they compute.
    with threadpool_limits(1, "blas"):
        for latent, code in embedding.items():
            reader = _Reader(latent, code, patient, spec, draws, seed, confidence, target)
            for question in questions:
                probes += reader.answers(question)
                done += 1
                if on_progress:
                    on_progress(done, steps)
        codes = {latent: code for latent, code in embedding.items() if latent != PIXELS}
        information = [
            found
            for name, values, given in _described(attributes, label)
            for found in latent_information(codes, name, values, given, patient, seed, target)
        ]
        modes = latent_modes(
            codes, attributes, label, patient, spec.modes, spec.mode_permutations, seed, target
        )
        maps = tuple(
            latent_map(latent, code, attributes, label, patient, spec.points, seed)
            for latent, code in embedding.items()
        )
    return LeakageFindings(tuple(probes), tuple(information), modes, maps)


class _Question(NamedTuple):
    """What is to be read.

    Attributes:
        predicts: An attribute or the label.
        name: Its name.
        values: ``[n]``.
        given: ``[n]`` label that is given, or None.
    """

    predicts: Literal["attribute", "label"]
    name: str
    values: pd.Categorical
    given: Array | None


def _questions(attributes: Mapping[str, pd.Categorical], label: Array) -> Iterator[_Question]:
    for name, values in attributes.items():
        yield _Question("attribute", name, values, label)
        yield _Question("attribute", name, values, None)
    yield _Question("label", "label", _classes(label), None)


def _described(
    attributes: Mapping[str, pd.Categorical], label: Array
) -> Iterator[tuple[str, pd.Categorical, Array | None]]:
    for name, values in attributes.items():
        yield name, values, label
    yield "label", _classes(label), None


def _classes(label: Array) -> pd.Categorical:
    """The label as values to read; samples where it is NaN have none."""
    return pd.Categorical(pd.Series(label).astype("category"))


class _Reader:
    """Answers questions from one embedding."""

    def __init__(
        self,
        latent: str,
        code: Array,
        patient: Array,
        spec: LeakageSpec,
        draws: int,
        seed: int,
        confidence: float,
        target: str,
    ) -> None:
        self.latent, self.patient, self.spec, self.target = latent, patient, spec, target
        self.draws, self.seed, self.confidence = draws, seed, confidence
        self.width = code.shape[1]
        if self.width > spec.widest:
            everyone = np.arange(len(code))
            scores = principal_components(code, everyone, spec.widest, seed).scores
            # A constant embedding has no component, but something must be read.
            code = scores if scores.shape[1] else code[:, :1]
        self.code = code

    def answers(self, question: _Question) -> Iterator[Leakage]:
        """One finding a probe."""
        within = strata(question.values, question.given, self.patient)
        if not within:
            for name in self.spec.probes:
                yield self._undefined(question, name)
            return
        bands: dict[str, float] = {}
        notes = [self._narrowed(), _labels_left_out(question, within)]
        for name in self.spec.probes:
            own = name if PROBES.get(name).refits else SUBSTITUTE
            answer = self._scores(name, within)
            if own not in bands:
                band = answer if own == name else self._scores(own, within)
                bands[own] = float(np.nanquantile(band.chance(), 0.95))
            drawn = answer.resampled(self.patient, self.draws, self.seed)
            low, high, reason = percentile_interval(drawn, self.confidence)
            yield self._finding(
                question,
                name,
                auroc=answer.auroc(),
                low=low,
                high=high,
                chance_high=bands[own],
                chance_of=own,
                patients=len(np.unique(self.patient[answer.rows])),
                reason="; ".join(filter(None, [reason, *notes, _borrowed(name, own)])),
            )

    def _scores(self, name: str, within: list[Stratum]) -> ProbeScores:
        spec = self.spec
        return ProbeScores.of(name, self.code, within, spec.folds, spec.permutations, self.seed)

    def _finding(self, question: _Question, name: str, **found: float | str) -> Leakage:
        return Leakage(
            target=self.target,
            latent=self.latent,
            predicts=question.predicts,
            attribute=question.name,
            given_label=question.given is not None,
            probe=name,
            dimensions=self.code.shape[1],
            **found,
        )

    def _undefined(self, question: _Question, name: str) -> Leakage:
        nan = float("nan")
        reason = TOO_FEW if question.given is None else TOO_FEW_GIVEN_LABEL
        own = name if PROBES.get(name).refits else SUBSTITUTE
        return self._finding(
            question,
            name,
            auroc=nan,
            low=nan,
            high=nan,
            chance_high=nan,
            chance_of=own,
            patients=0,
            reason=reason,
        )

    def _narrowed(self) -> str:
        read = self.code.shape[1]
        if read == self.width:
            return ""
        return f"the leading {read} of {self.width:,} principal components were read"


def _labels_left_out(question: _Question, within: list[Stratum]) -> str:
    if question.given is None:
        return ""
    labels = len(np.unique(question.given[~np.isnan(question.given)]))
    return f"read within {len(within)} of {labels} labels" if len(within) < labels else ""


def _borrowed(name: str, own: str) -> str:
    return "" if name == own else f"the band of chance is that of the {own} probe"
