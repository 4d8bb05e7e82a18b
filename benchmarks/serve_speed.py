"""Requests a second of the service beside LitServe, on the same two cores, in one run.

``python -m benchmarks.serve_speed RUN ... --litserve PYTHON`` serves the model of each run
directory from this service and, if a Python that has litserve, onnxruntime, pillow and pydantic
is named, from LitServe with the same decoder and the same ONNX file; then asks both with the
same images, as JSON with base64, which both take, in turns: the machine may be shared, so each
figure is the median of several rounds, and what counts is the ratio. The service is also asked
with PNG bodies and arrays. ONNX Runtime called directly, in as many processes as the service
has and on one thread each like its models, is the limit of what batches can reach: of one
process for a lone client, who waits for one at a time, and of all of them for several clients.
Servers and load share the first two cores of this machine.

``--flat N`` asks the service N more times, with the first model, and prints its memory before
and after.
"""

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
import uvloop
from PIL import Image

from service.inference.media import ARROW
from service.layout import Layout
from service.models.registry import ModelRegistry
from service.settings import ServiceSettings
from service.storage.database import Database
from service.storage.store import open_store
from training.predictor import LARGEST_BATCH, Predictor

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results") / "serve_speed.txt"
CLIENTS = (1, 16, 64)
BATCH_CLIENTS = (1, 4)

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


class Point(NamedTuple):
    """What was measured at one load."""

    requests: float
    median: float
    slow: float
    failures: int


class Served(NamedTuple):
    """A running server."""

    name: str
    process: "subprocess.Popen[bytes]"
    port: int
    path: str
    ready: float


def images(contract_size: int, channels: int) -> list[bytes]:
    """Different PNG files, twice as large as the model takes."""
    generator, files = np.random.default_rng(0), []
    for _ in range(LARGEST_BATCH):
        coarse = generator.integers(0, 256, (9, 9, 3), np.uint8)
        side = 2 * contract_size
        image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        file = BytesIO()
        (image if channels == 3 else image.convert("L")).save(file, "PNG")
        files.append(file.getvalue())
    return files


def as_json(files: Sequence[bytes]) -> bytes:
    """A body that both servers take."""
    said = [{"name": "a.png", "data": base64.b64encode(each).decode()} for each in files]
    return json.dumps({"images": said}).encode()


def request(path: str, kind: str, body: bytes, accept: str = "*/*") -> bytes:
    """A whole HTTP request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
    return f"{head}Accept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Caller(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    def __init__(self, asked: Sequence[bytes], until: float, seconds: list[float]) -> None:
        """Take turns with these requests until a moment, and note how long each took."""
        self.asked, self.until, self.seconds = asked, until, seconds
        self.turn, self.failures, self.buffer, self.wanted = id(self) % len(asked), 0, b"", -1
        self.answered = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.began = time.perf_counter()
        if self.began >= self.until:
            self.done.set_result(None)
            self.transport.close()
            return
        self.turn += 1
        asked = self.asked[self.turn % len(self.asked)]
        self.transport.write(asked)  # type: ignore[attr-defined]  # typed as one that only reads

    def data_received(self, data: bytes) -> None:
        """Take a part of the answer."""
        self.buffer += data
        if self.wanted < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            place = head.index(b"content-length:") + 15
            self.wanted = end + 4 + int(head[place:].split(b"\r\n", 1)[0])
            self.failures += not head.startswith(b"http/1.1 200")
        if len(self.buffer) >= self.wanted:
            self.buffer, self.wanted = b"", -1
            if self.answered:  # the first one waits for all connections to be made
                self.seconds.append(time.perf_counter() - self.began)
            self.answered += 1
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """The server has hung up."""
        if not self.done.done():
            self.failures += 1
            self.done.set_result(None)


async def load(port: int, asked: Sequence[bytes], clients: int, seconds: float) -> Point:
    """Ask from some connections at once."""
    loop, taken = asyncio.get_running_loop(), list[float]()
    began = time.perf_counter()
    callers = [
        (
            await loop.create_connection(
                lambda: Caller(asked, began + seconds, taken), "127.0.0.1", port
            )
        )[1]
        for _ in range(clients)
    ]
    await asyncio.gather(*(each.done for each in callers))
    lasted = time.perf_counter() - began
    median, slow = np.percentile(taken, [50, 99]) * 1000 if taken else (np.nan, np.nan)
    answered, failures = (
        sum(getattr(each, name) for each in callers) for name in ("answered", "failures")
    )
    return Point(answered / lasted, median, slow, failures)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


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


def answered(port: int, probe: bytes) -> bool:
    """Whether a request is answered with 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(probe)
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


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


def direct(run: Path, files: Sequence[bytes], seconds: float, processes: int) -> float:
    """Images a second of ONNX Runtime alone, in batches of 64, of some processes at once."""
    spawn = get_context("spawn")
    together, found = spawn.Barrier(processes), spawn.SimpleQueue()
    given = (run, files, seconds, together, found)
    working = [spawn.Process(target=_direct, args=given) for _ in range(processes)]
    for each in working:
        each.start()
    speed = sum(found.get() for _ in working)
    for each in working:
        each.join()
    return speed


def _direct(
    run: Path, files: Sequence[bytes], seconds: float, together: Any, found: Any
) -> None:
    predictor = Predictor(run, threads=1)
    batch = np.stack([pixels_of(each, predictor) for each in files])
    predictor.predict(batch)
    together.wait()
    count, began = 0, time.perf_counter()
    while (lasted := time.perf_counter() - began) < seconds:
        predictor.predict(batch)
        count += len(batch)
    found.put(count / lasted)


def main(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.")],
    litserve: Annotated[Path | None, typer.Option(help="A Python that has litserve.")] = None,
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 2.0,
    rounds: Annotated[int, typer.Option(help="Measurements of each load.")] = 5,
    processes: Annotated[int, typer.Option(help="Of this service that answer.")] = 2,
    flat: Annotated[int, typer.Option(help="Further requests, for the memory.")] = 0,
) -> None:
    """Measure, print, and write ``benchmarks/results/serve_speed.txt``."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    for run in runs:
        more = flat if run == runs[0] else 0
        measure(run, litserve, seconds, rounds, processes, more, tell)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")


def measure(
    run: Path,
    litserve: Path | None,
    seconds: float,
    rounds: int,
    processes: int,
    flat: int,
    tell: Callable[[str], None],
) -> None:
    """Measure one model."""
    predictor = Predictor(run, threads=1)
    files = images(predictor.contract.size, predictor.contract.channels)
    tell(f"{predictor.method}, {predictor.contract.shape}; {len(files[0])} bytes a PNG")
    limits = [direct(run, files, seconds, count) for count in (1, processes)]
    shown = f"{limits[0]:,.0f} images/s in batches of 64, {limits[1]:,.0f} of {processes}"
    tell(f"ONNX Runtime directly: {shown} processes at once")
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        running = list(servers(run, Path(home), litserve, files, processes, stack))
        for server in running:
            os.killpg(server.process.pid, signal.SIGSTOP)
            tell(
                f"{server.name}: ready after {server.ready:.1f} s, "
                f"{megabytes(server.process.pid)}"
            )
        for name, media, bodies, clients, count in loads(files, predictor):
            asking = running if media == "application/json" else running[:1]
            points = in_turns(asking, media, bodies, clients, seconds, rounds)
            for server, point in zip(asking, points, strict=True):
                limit = limits[0] if clients == 1 else limits[1]
                tell(_row(server.name, name, clients, point, count, limit))
            if len(points) == 2:
                tell(f"{name}, {clients} clients: {ratio(points):.2f} times LitServe")
        for server in running:
            tell(f"{server.name}: {megabytes(server.process.pid)} after all")
        tell(f"{running[0].name}: {after_arrow(running[0], files)} after Arrow, too")
        if flat:
            for line in flatness(running[0], files, flat, seconds):
                tell(line)


def after_arrow(server: Served, files: Sequence[bytes]) -> str:
    """Memory when every process has read images in Arrow and answered in it."""
    import pyarrow as pa

    table = pa.table({"name": [""] * len(files), "image": list(files)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    asked = [request(server.path, ARROW, sink.getvalue().to_pybytes(), accept=ARROW)]
    with awake(server):
        uvloop.run(load(server.port, asked, 8, 2.0))
        return megabytes(server.process.pid)


def loads(
    files: Sequence[bytes], predictor: Predictor
) -> Iterator[tuple[str, str, Sequence[bytes], int, int]]:
    """Name, media type, bodies, clients and images a request of each load."""
    single = [as_json([each]) for each in files]
    array = BytesIO()
    np.save(array, np.stack([pixels_of(each, predictor) for each in files]))
    for clients in CLIENTS:
        yield "one image, JSON", "application/json", single, clients, 1
    for clients in CLIENTS:
        yield "one image, PNG", "image/png", files, clients, 1
    for clients in BATCH_CLIENTS:
        yield "64 images, JSON", "application/json", [as_json(files)], clients, len(files)
    for clients in BATCH_CLIENTS:
        yield "64 images, npy", "application/x-npy", [array.getvalue()], clients, len(files)


def in_turns(
    asking: Sequence[Served],
    media: str,
    bodies: Sequence[bytes],
    clients: int,
    seconds: float,
    rounds: int,
) -> list[Point]:
    """The median point of each server; they take turns, after a round that does not count."""
    found: list[list[Point]] = [[] for _ in asking]
    for turn in range(rounds + 1):
        for server, points in zip(asking, found, strict=True):
            asked = [request(server.path, media, body) for body in bodies]
            with awake(server):
                point = uvloop.run(load(server.port, asked, clients, seconds if turn else 1.0))
            if turn:
                points.append(point)
    return [
        Point(
            float(np.median([each.requests for each in points])),
            float(np.median([each.median for each in points])),
            float(np.median([each.slow for each in points])),
            sum(each.failures for each in points),
        )
        for points in found
    ]


@contextmanager
def awake(server: Served) -> Iterator[None]:
    """A server that runs while the block does. LitServe takes a core when it has no work."""
    os.killpg(server.process.pid, signal.SIGCONT)
    try:
        yield
    finally:
        os.killpg(server.process.pid, signal.SIGSTOP)


def ratio(points: Sequence[Point]) -> float:
    """How many times as many requests the first one answers as the second."""
    return points[0].requests / points[1].requests


def flatness(
    server: Served, files: Sequence[bytes], count: int, seconds: float
) -> Iterator[str]:
    """Asks that many more times, and tells of the memory after each tenth."""
    asked, done = [request(server.path, "image/png", each) for each in files], 0
    yield f"{server.name}: {megabytes(server.process.pid)} before {count:,} more requests"
    for part in range(1, 11):
        while done < part * count / 10:
            with awake(server):
                point = uvloop.run(load(server.port, asked, 16, seconds))
            done += int(point.requests * seconds)
        yield f"{server.name}: {megabytes(server.process.pid)} after {done:,} of them"


def pixels_of(
    data: bytes, predictor: Predictor
) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """As the model takes it."""
    from training.imaging import decode

    return decode(data, predictor.contract, "image")


def _row(name: str, what: str, clients: int, point: Point, images: int, limit: float) -> str:
    share = f", {100 * point.requests * images / limit:.0f} % of direct" if images > 1 else ""
    failed = f", {point.failures} FAILED" if point.failures else ""
    return (
        f"{name:9} {what:16} {clients:3} clients: {point.requests:7,.0f} requests/s, p50 "
        f"{point.median:7.2f} ms, p99 {point.slow:7.2f} ms{share}{failed}"
    )


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


if __name__ == "__main__":
    typer.run(main)
