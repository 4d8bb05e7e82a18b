"""What a run directory must be for its model to be registered."""

import json
from pathlib import Path
from typing import Any, Final

from evaluation.errors import Fault, InputError
from training.predictor import Predictor

#: What a run directory needs for its model to be served, and judged against a challenger.
NEEDED: Final = ("config.json", "contract.json", "model.onnx", "split.csv", "audit.json")


def read_finished(run: Path) -> dict[str, Any]:
    """The configuration of a finished run whose model can be served.

    Args:
        run: Its directory.

    Raises:
        InputError: It is no finished run, or its model cannot be loaded.
    """
    missing = [name for name in NEEDED if not (run / name).is_file()]
    if missing:
        remedy = "Give the folder of a finished training run."
        raise InputError(*(Fault(str(run), f"there is no {name}", remedy) for name in missing))
    try:
        config: dict[str, Any] = json.loads((run / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        damage = f"its config.json is damaged: {error}"
        raise InputError(Fault(str(run), damage, "Train it anew.")) from None
    Predictor(run, threads=1)  # refuses a model that could not be served
    return config
