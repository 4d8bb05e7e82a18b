"""What the service counts and measures, for Prometheus."""

import os
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import version
from time import perf_counter
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.children import SHARED
from service.security.access_log import METHODS

#: Upper edges of the latency histogram, in seconds.
SECONDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

#: Upper edges of the batch size histogram, in images.
IMAGES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The metrics of an app, or of all processes that share a folder.

    Every label has few values, whatever requests bring: templates of routes and no paths,
    numbers of registered versions, names of their classes.

    Attributes:
        registry: All of them.
        requests: Requests answered, by method, route and status.
        seconds: How long answers took, until their last byte was handed over.
        in_flight: Requests that are being answered.
        batch: Images in one call of a model; ``observe`` each.
        predictions: Images predicted, by model version and decision.
    """

    def __init__(self) -> None:
        """Start at nothing."""
        self.registry = registry = CollectorRegistry()
        build = Info("evenscan_build", "What runs here.", registry=registry)
        build.info({"version": version("evenscan"), "python": platform.python_version()})
        self._own: list[tuple[Gauge, Callable[[], float]]] = []
        self._shared = SHARED in os.environ
        if self._shared:  # what is counted goes to files, and what is told comes from them
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
            registry = CollectorRegistry()
        else:
            ProcessCollector(registry=registry)
        self._counted = registry
        self.requests = Counter(
            "evenscan_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "evenscan_request_seconds",
            "How long answers took.",
            ("method", "route"),
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "evenscan_requests_in_flight",
            "Requests being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.batch = Histogram(
            "evenscan_batch_images",
            "Images in one call of a model.",
            buckets=IMAGES,
            registry=registry,
        )
        self.predictions = Counter(
            "evenscan_predictions",
            "Images predicted.",
            ("version", "decision"),
            registry=registry,
        )

    def predicted(self, version: int, decision: str, count: int = 1) -> None:
        """Count images for which a model version decided on a class."""
        self.predictions.labels(str(version), decision).inc(count)

    def watch(
        self, name: str, text: str, label: str, read: Callable[[], dict[str, float]]
    ) -> None:
        """Add a gauge that is the same for all processes, and read when it is asked for.

        Args:
            name: Of the metric.
            text: What it says.
            label: Name of its one label; empty for none, then ``read`` has the key ``""``.
            read: Its values by label. What it cannot read, it leaves out.
        """
        self.registry.register(_Watched(name, text, label, read))

    def watch_own(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge of this process; what is told is the sum of all processes.

        Args:
            name: Of the metric.
            text: What it says.
            read: Its value, at no cost.
        """
        if self._shared:
            gauge = Gauge(name, text, multiprocess_mode="livesum", registry=self._counted)
            self._own.append((gauge, read))
        else:
            self.watch(name, text, "", lambda: {"": read()})

    def tell(self) -> None:
        """Let the other processes know of this one's gauges."""
        for gauge, read in self._own:
            gauge.set(read())


class Measured:
    """Middleware that counts requests by what they were answered, whoever answers them."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        """Wrap an app with these routes."""
        self.app, self.routes = app, list(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        metrics: Metrics = scope["app"].state.services.metrics
        method = scope["method"] if scope["method"] in METHODS else "other"
        began, status = perf_counter(), "500"

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        with metrics.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, noted)
            finally:
                route = self._route(scope)
                metrics.requests.labels(method, route, status).inc()
                metrics.seconds.labels(method, route).observe(perf_counter() - began)
                metrics.tell()

    def _route(self, scope: Scope) -> str:
        """Template of the route, also of a request that did not get so far; or ``none``."""
        if (route := scope.get("route")) is None:
            found = (each for each in self.routes if each.matches(scope)[0] is not Match.NONE)
            route = next(found, None)
        return getattr(route, "path", "none")


class _Watched(Collector):
    def __init__(
        self, name: str, text: str, label: str, read: Callable[[], dict[str, float]]
    ) -> None:
        self.name, self.text, self.label, self.read = name, text, label, read

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return [GaugeMetricFamily(self.name, self.text)]  # without reading anything

    def collect(self) -> Iterable[GaugeMetricFamily]:
        labels = [self.label] if self.label else []
        family = GaugeMetricFamily(self.name, self.text, labels=labels)
        for value, number in self.read().items():
            family.add_metric([value] if self.label else [], number)
        return [family]
