"""A worker that kills itself with SIGKILL at chosen places, and is started anew each time.

``python killed_worker.py FOLDER PLACE ...``: a place is ``begun:STEP``, before the step does
anything, ``kept:STEP``, when the store has taken a folder of the step and no row says so, or
``done:STEP``, after all of it but before that is recorded. Each kills once; the file
FOLDER/PLACE says that it has. ``always:STEP`` kills whenever the step has begun, and at
``held:STEP`` the step waits for the file FOLDER/on:STEP.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

# Loaded before the first fork, since each would take seconds to load them.
import service.jobs.retrain
import training.export
import training.fit
import training.methods.erm
from service.jobs.worker import run
from service.jobs.workflows import Workflows
from service.settings import ServiceSettings
from service.storage.store import LocalStore

LOADED = (service.jobs.retrain, training.export, training.fit, training.methods.erm)


def main() -> None:
    folder, places = Path(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        if (child := os.fork()) == 0:
            work(folder, places)
        signal.signal(signal.SIGTERM, lambda *_, child=child: stop(child))
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            os._exit(0)


def stop(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os._exit(0)


def work(folder: Path, places: list[str]) -> None:
    def die(place: str) -> None:
        mark = folder / place
        if place in places and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    attempt, delivered = Workflows._attempt, Workflows._is_delivered
    keep, at = LocalStore.keep, [""]

    def attempted(self, task, step, found, stands):
        at[0] = step.name
        die(f"begun:{step.name}")
        if f"held:{step.name}" in places:
            step = replace(step, work=partial(held, step))
        if f"always:{step.name}" in places:
            step = replace(step, work=lambda found: os.kill(os.getpid(), signal.SIGKILL))
        outcome = attempt(self, task, step, found, stands)
        die(f"done:{step.name}")
        return outcome

    def held(step, found):
        (folder / f"held:{step.name}").touch()
        while not (folder / f"on:{step.name}").exists():
            time.sleep(0.02)
        return step.work(found)

    def kept(self, name, given):
        keep(self, name, given)
        die(f"kept:{at[0]}")

    def sent(self, job, tried):
        die("begun:webhook")
        outcome = delivered(self, job, tried)
        die("done:webhook")
        return outcome

    Workflows._attempt, Workflows._is_delivered = attempted, sent
    LocalStore.keep = kept
    run(ServiceSettings.read())


if __name__ == "__main__":
    main()
