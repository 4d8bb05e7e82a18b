"""The main job end to end on a generated cohort: train, audit, register, serve."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from evaluation.audit import Audit
from evaluation.errors import Fault, InputError
from evaluation.policy import Policy
from evaluation.section import number
from service.client import Client
from service.jobs.workflow import Workplace
from service.settings import ServiceSettings
from service.storage.database import Database
from training.cohort import Cohort, CohortSchema, read_cohort
from training.config import RunConfig
from training.formats.phantom import write_phantom
from training.making import Step
from training.progress import steps
from training.run import Run, execute, run_id

#: The attribute that label and pixels are entangled with, and that the test set disentangles.
SHIFTED = "scanner"

#: Short enough for four minutes on two cores; the methods' own defaults train longer.
METHODS = {
    "erm": {"epochs": 20},
    "clear_vae": {"representation_epochs": 30, "classifier_epochs": 15},
}

#: One of those in benchmarks/results/phantom.csv. It draws which pairs are unseen.
SEED = 2


def demo(cohort: Path, policy: str, out: Path, console: Console) -> None:
    """Run the demo; what an earlier demo in the same folder has finished is not done again.

    Args:
        cohort: TOML file of a phantom cohort.
        policy: Name or TOML file of the policy.
        out: Folder for the images, the runs and the service.
        console: Where to tell of it.
    """
    images = _written(cohort, out / "cohort", console)
    runs = [_run(name, images, policy, out / "runs", console) for name in METHODS]
    console.print(_table(runs))
    for run in runs:
        path = run.directory / "report.html"
        console.print(f"Report of {run.config.method['name']}: {path}", soft_wrap=True)
    better = max(runs, key=lambda run: _worst(run.audit))
    name, worst = better.config.method["name"], number(_worst(better.audit))
    console.print(
        f"\nThe better one is {name}: its worst group of all has an AUROC of {worst}. It was "
        "chosen on the test rows, so its figures flatter it a little."
    )
    home = out / "service"
    _register(better, home)
    _ask(home, images, console)


def _written(cohort: Path, folder: Path, console: Console) -> Cohort:
    wanted = CohortSchema.load(cohort)
    if folder.exists():
        if _filled(CohortSchema.load(folder / "phantom.toml")) != _filled(wanted):
            remedy = "Choose another --out, or delete it."
            raise InputError(Fault(str(folder), "it holds another cohort", remedy))
    else:
        with steps() as on_step:
            write_phantom(
                wanted,
                folder,
                lambda done, total: on_step(Step("drawing the cohort", done, total)),
            )
    found = read_cohort(CohortSchema.load(folder / "cohort.toml"), folder)
    console.print(str(found), soft_wrap=True)
    return found


def _filled(schema: CohortSchema) -> CohortSchema:
    """The schema with the defaults of its source, so that two can be compared."""
    return schema.model_copy(update={"source": schema.parse_source().model_dump(mode="json")})


def _run(name: str, cohort: Cohort, policy: str, runs: Path, console: Console) -> Run:
    config = RunConfig.parse(
        {
            "cohort": cohort.schema,
            "method": {"name": name, **METHODS[name]},
            "shift": {
                "name": "unseen_combination",
                "attribute": SHIFTED,
                "seen": 3,
                "seen_test": 0.25,
            },
            "size": 28,
            "seed": SEED,
            # The same figures on every machine, as nearly as that goes.
            "recipe": {"precision": "float32"},
            "policy": Policy.find(policy),
        },
        "demo",
    )
    console.print(f"Training {name} …")
    with steps() as on_step:
        return execute(config, runs / run_id(config, cohort), on_step, cohort)


def _worst(audit: Audit) -> float:
    """The lowest AUROC of any group of one attribute; of the unseen pairs, usually."""
    ranked = [
        gap.worst_value
        for gap in audit.gaps
        if gap.metric == "auroc" and len(gap.attributes) == 1 and gap.worst
    ]
    return min(ranked, default=float("-inf"))


def _table(runs: list[Run]) -> Table:
    lines = Table(
        box=SIMPLE_HEAD,
        title=f"AUROC where the association of label and {SHIFTED} is turned around",
        title_justify="left",
    )
    heads = ("Method", "All", "Seen", "Unseen pairs", f"Worst {SHIFTED}", "Gap", "Leakage")
    for head in heads:
        lines.add_column(head)
    for run in runs:
        gap = run.audit.gap("auroc", SHIFTED)
        unseen = run.audit.estimate("auroc", "combination: unseen")
        lines.add_row(
            run.config.method["name"],
            number(run.audit.estimate("auroc").value),
            number(run.audit.estimate("auroc", "combination: seen").value),
            f"{number(unseen.value)} ({number(unseen.low)}-{number(unseen.high)})",
            f"{number(gap.worst_value)} ({gap.worst.partition(': ')[2]})",
            number(gap.value),
            number(run.audit.leaked(SHIFTED).auroc),
        )
    lines.caption = (
        f"Gap: best minus worst {SHIFTED}. Leakage: AUROC of a probe for the {SHIFTED} in the "
        "content embedding, within each label; 0.5 is chance."
    )
    lines.caption_justify = "left"
    return lines


def _register(run: Run, home: Path) -> None:
    # The demo keeps to itself, whatever service this machine is set up for.
    settings = ServiceSettings.read(home=home, database_url="")
    registry = Workplace.of(settings, Database.opened(settings.database)).registry
    version = registry.register(run.directory)
    champion = registry.champion()
    if champion is None or champion.id != version.id:
        registry.promote(version.id, "demo", "The better one of the demo's two runs.")


def _ask(home: Path, cohort: Cohort, console: Console) -> None:
    sample, row = next(cohort.table.iterrows())
    name = str(row["image"])
    content = (home.parent / "cohort" / "images" / Path(name).name).read_bytes()
    with _served(home) as address:
        console.print(f"Asking {address} about {Path(name).name} …", soft_wrap=True)
        with Client(address) as client:
            embedding = client.embeddings([(name, content)]).embeddings[0]
            prediction = client.predictions([(name, content)]).predictions[0]
    shown = embedding.content or ()
    console.print(
        f"POST /v1/embeddings  {len(shown)} numbers: {[round(x, 3) for x in shown[:5]]} …"
    )
    console.print(f"POST /v1/predictions {prediction.model_dump()}")
    truth = cohort.schema.classes[int(row["label"])]
    console.print(f"The label of {sample} is '{truth}'.")


@contextmanager
def _served(home: Path) -> Iterator[str]:
    """A service on a free port, stopped at the end."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--no-worker", "--open"]
    own = {k: v for k, v in os.environ.items() if not k.startswith("EVENSCAN_")}
    environment = own | {"EVENSCAN_HOME": str(home)}
    with (
        (home / "service.log").open("w") as log,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as service,
    ):
        try:
            assert service.stdout is not None
            for line in service.stdout:
                if found := re.search(r"http://\S+", line):
                    yield found.group()
                    return
            remedy = f"Read {home / 'service.log'}."
            raise InputError(Fault("service", "it stopped before it listened", remedy))
        finally:
            service.terminate()
