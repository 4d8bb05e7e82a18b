"""Commands that ask a running service, over the client."""

import typer

from service.remote.audits import audits
from service.remote.cohorts import cohorts
from service.remote.images import embed, predict
from service.remote.jobs import jobs
from service.remote.keys import keys
from service.remote.models import models
from service.remote.training import retrain

# Everything else is imported inside the commands: see ``service.cli``.

remote = typer.Typer(
    help="Ask a running service. EVENSCAN_URL and EVENSCAN_KEY say which, and as whom.",
    no_args_is_help=True,
)
remote.add_typer(cohorts, name="cohorts")
remote.add_typer(jobs, name="jobs")
remote.add_typer(audits, name="audits")
remote.add_typer(models, name="models")
remote.add_typer(keys, name="keys")
for _command in (retrain, predict, embed):
    remote.command()(_command)
