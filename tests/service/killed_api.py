"""An API that kills itself with SIGKILL at chosen places, and is started anew each time.

``python killed_api.py FOLDER PORT PLACE ...``: a place is ``checked:KIND``, when a job is about
to be recorded, ``recorded:KIND``, when it is and nobody has been told, or ``kept:KIND``, when
the answer has been kept and not been sent. Each kills once; the file FOLDER/PLACE says that it
has.
"""

import os
import signal
import sys
from pathlib import Path

from service.jobs.queue import JobQueue
from service.protocol.answers import Answers
from service.server import serve
from service.settings import ServiceSettings


def main() -> None:
    folder, port, places = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    while True:
        if (child := os.fork()) == 0:
            work(folder, port, places)
        signal.signal(signal.SIGTERM, lambda *_, child=child: stop(child))
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            os._exit(1)


def stop(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os._exit(0)


def work(folder: Path, port: int, places: list[str]) -> None:
    recorded = [""]

    def die(place: str) -> None:
        mark = folder / place
        if place in places and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    submit, keep = JobQueue.submit, Answers.keep

    def submitted(self, job):
        recorded[0] = job.kind
        die(f"checked:{recorded[0]}")
        submit(self, job)
        die(f"recorded:{recorded[0]}")

    def kept(self, key, said):
        keep(self, key, said)
        die(f"kept:{recorded[0]}")

    JobQueue.submit, Answers.keep = submitted, kept
    serve(ServiceSettings.read(port=port, open=True), with_worker=False, on_listening=print)
    os._exit(0)


if __name__ == "__main__":
    main()
