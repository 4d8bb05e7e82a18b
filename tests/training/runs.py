"""Trainings of a small method that tests interrupt and compare."""

import numpy as np

from tests.training.synthetic import images
from training.fit import fit
from training.history import History
from training.method import Method
from training.recipe import Recipe

TRAIN, VALIDATION = np.arange(35), np.arange(35, 50)


class Interrupted(Exception):
    """What a killed process would be."""


def run(method: Method, **options) -> History:
    pixels, label = images(50, method.classes)
    options = {"train": TRAIN, "validation": VALIDATION, "seed": 3} | options
    return fit(method, pixels, label, **options)


def same_state(one: Method, other: Method) -> bool:
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        states[0][name].equal(states[1][name]) for name in states[0]
    )


def interrupt_at(stage, epoch, step=None):
    def on_progress(progress):
        there = progress.stage == stage and progress.epoch == epoch
        if there and (progress.step == (progress.steps if step is None else step)):
            raise Interrupted

    return on_progress


INTERRUPTIONS = [
    ("representation", 1, None),
    ("representation", 2, 1),
    ("representation", 3, None),  # done, but its end has not been seen
    ("classifier", 1, 1),
    ("classifier", 2, None),
    ("classifier", 3, None),
]


def without_seconds(history):
    return history.table.drop(columns="seconds")


VARIED = {
    "flip": {"axes": ["height", "width"]},
    "rotation": {},
    "noise": {},
    "erasing": {"probability": 1},
}
RECIPES = {
    "all": {
        "augmentation": VARIED,
        "sampling": {"name": "reweighted", "attributes": ["sex"]},
        "schedule": {"name": "cosine", "warmup": 2},
        "selection": {"metric": "brier_score", "of": "worst", "attribute": "site"},
        "patience": 1,
        "weight_decay": 0.1,
        "gradient_norm": 1.0,
        "precision": "bfloat16",
    },
    "balanced": {
        "augmentation": VARIED,
        "sampling": {"name": "balanced", "attributes": ["sex", "site"]},
        "schedule": {"name": "step", "every": 1, "factor": 0.5},
        "selection": {"of": "gap", "attribute": "sex"},
    },
}
GROUPS = np.array([np.arange(50) % 3 - 1, np.arange(50) // 10 % 2])


def run_with(recipe, method, **options):
    recipe = Recipe.parse(recipe, "recipe")
    groups = GROUPS[[{"sex": 0, "site": 1}[name] for name in recipe.reads]]
    return run(method, recipe=recipe, recipe_groups=groups, **options)
