"""The command that begins a training."""

from pathlib import Path
from typing import Annotated

import typer

from service.remote.asked import asked, begun
from service.remote.options import Watch


def retrain(
    config: Annotated[Path, typer.Argument(help="TOML file of the run.")],
    cohort: Annotated[
        list[str] | None, typer.Option(help="Id of a cohort it holds; may be repeated.")
    ] = None,
    hold: Annotated[
        bool, typer.Option("--hold", help="Leave the promotion to people.")
    ] = False,
    approver: Annotated[
        str | None, typer.Option(help="With --hold: whose approval it needs, by name.")
    ] = None,
    watch: Watch = False,
) -> None:
    """Train a challenger, audit it, and promote it if the gate lets it pass.

    The policy may be a name or a file, as for evenscan train. Cohorts that are named here stand
    in place of those of the file.
    """
    from evaluation.errors import Fault, InputError
    from evaluation.policy import Policy
    from evaluation.settings import read_toml

    with asked() as client:
        wanted = read_toml(config)
        if isinstance(wanted.get("policy"), str):
            policy = Policy.find(wanted["policy"], config.parent)
            wanted["policy"] = policy.model_dump(mode="json")
        if cohort:
            wanted.pop("cohort", None)
            wanted["cohorts"] = cohort
        if not {"cohort", "cohorts"} & set(wanted):
            found = "it names no cohort of the service"
            remedy = "Add --cohort ID; evenscan remote cohorts list shows them."
            raise InputError(Fault(str(config), found, remedy))
        if hold:
            wanted["promotion"] = "hold"
        if approver is not None:
            wanted["approver"] = approver
        begun(client, client.retrain(wanted), watch)
