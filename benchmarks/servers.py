"""The servers that are compared: this service and LitServe, with the same model and decoder."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.http_load import request
from benchmarks.sample_images import as_json
from service.layout import Layout
from service.models.registry import ModelRegistry
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import open_store

ROOT = Path(__file__).parents[1]

#: What LitServe serves: the same decoder, the same model file, batches that never wait.
LITSERVE = """
import base64, sys
import numpy as np, onnxruntime, litserve
from pathlib import Path
from training.imaging import decode
from training.predictor import Predictor

class Api(litserve.LitAPI):
    def setup(self, device):
        self.predictor = Predictor(Path(sys.argv[1]), threads=1)
    def decode_request(self, request):
        contract = self.predictor.contract
        return np.stack([decode(base64.b64decode(x["data"]), contract, "image")
                         for x in request["images"]])
    def batch(self, inputs):
        self.sizes = [len(x) for x in inputs]
        return np.concatenate(inputs)
    def predict(self, pixels):
        return self.predictor.predict(pixels).probability
    def unbatch(self, output):
        return np.split(output, np.cumsum(self.sizes)[:-1])
    def encode_response(self, output):
        return {"predictions": output.tolist()}

if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=64, batch_timeout=0.0), accelerator="cpu",
                                workers_per_device=1, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), num_api_servers=1, log_level="error",
               generate_client_file=False)
"""


class Served(NamedTuple):
    """A running server."""

    name: str
    process: "subprocess.Popen[bytes]"
    port: int
    path: str
    ready: float


def servers(
    run: Path,
    home: Path,
    litserve: Path | None,
    files: Sequence[bytes],
    processes: int,
    stack: ExitStack,
) -> Iterator[Served]:
    """The servers, this one first; they end with the stack."""
    settings = ServiceSettings.read(home=home / "service", open=True)
    database = Database.opened(settings.database)
    registry = ModelRegistry(database, open_store(settings), Layout(settings).models)
    registry.promote(registry.register(run).id, "benchmark", "To be measured.")
    database.close()
    port = free_port()
    probe = request("/v1/predictions", "image/png", files[0])
    command = [sys.executable, "-m", "service", "serve", "--no-worker", "--port", str(port)]
    command += ["--processes", str(processes)]
    variables = {"EVENSCAN_HOME": str(settings.home), "EVENSCAN_OPEN": "true"}
    served = started("evenscan", command, port, "/v1/predictions", probe, **variables)
    yield stack.enter_context(served)
    if litserve is not None:
        script = home / "served.py"
        script.write_text(LITSERVE, encoding="utf-8")
        port = free_port()
        probe = request("/predict", "application/json", as_json(files[:1]))
        command = [str(litserve), str(script), str(run.absolute()), str(port)]
        served = started("litserve", command, port, "/predict", probe, PYTHONPATH=str(ROOT))
        yield stack.enter_context(served)


@contextmanager
def started(
    name: str, command: list[str], port: int, path: str, probe: bytes, **env: str
) -> Iterator[Served]:
    """A server that answers, and how long it took until then."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not answered(port, probe):
            if process.poll() is not None or time.perf_counter() - began > 60:
                raise RuntimeError(f"{name} does not answer")
            time.sleep(0.02)
        yield Served(name, process, port, path, time.perf_counter() - began)
    finally:
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def awake(server: Served) -> Iterator[None]:
    """A server that runs while the block does. LitServe takes a core when it has no work."""
    os.killpg(server.process.pid, signal.SIGCONT)
    try:
        yield
    finally:
        os.killpg(server.process.pid, signal.SIGSTOP)


def answered(port: int, probe: bytes) -> bool:
    """Whether a request is answered with 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(probe)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def memory(process: int) -> list[float]:
    """Resident memory of a process and of each of its children, in MB."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(
                line.split(":\t", 1)
                for line in status.read_text().splitlines()
                if ":\t" in line
            )
        except OSError:
            continue
        if str(process) in (lines.get("Pid", "").strip(), lines.get("PPid", "").strip()):
            found.append(int(lines.get("VmRSS", "0 kB").split()[0]) / 1000)
    return found


def megabytes(process: int) -> str:
    """The same, to be read."""
    return " + ".join(f"{each:.0f}" for each in memory(process)) + " MB"
