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

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import uvloop

from benchmarks.http_load import Point, load, request
from benchmarks.sample_images import as_json, images, pixels_of
from benchmarks.servers import Served, awake, megabytes, servers
from service.inference.media import ARROW
from training.predictor import Predictor

RESULTS = Path(__file__).with_name("results") / "serve_speed.txt"
CLIENTS = (1, 16, 64)
BATCH_CLIENTS = (1, 4)


def direct(run: Path, files: Sequence[bytes], seconds: float, processes: int) -> float:
    """Images a second of ONNX Runtime alone, in batches of 64, of some processes at once."""
    spawn = get_context("spawn")
    together, found = spawn.Barrier(processes), spawn.SimpleQueue()
    given = (run, files, seconds, together, found)
    working = [spawn.Process(target=_direct, args=given) for _ in range(processes)]
    for each in working:
        each.start()
    speed = float(sum(found.get() for _ in working))
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


def _row(name: str, what: str, clients: int, point: Point, images: int, limit: float) -> str:
    share = f", {100 * point.requests * images / limit:.0f} % of direct" if images > 1 else ""
    failed = f", {point.failures} FAILED" if point.failures else ""
    return (
        f"{name:9} {what:16} {clients:3} clients: {point.requests:7,.0f} requests/s, p50 "
        f"{point.median:7.2f} ms, p99 {point.slow:7.2f} ms{share}{failed}"
    )


if __name__ == "__main__":
    typer.run(main)
