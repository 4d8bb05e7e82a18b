"""Numbers for Prometheus."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from prometheus_client.exposition import choose_encoder

from service.protocol.errors import documented
from service.security.access import needs
from service.services import Parts

router = APIRouter(tags=["health"], dependencies=[needs("read")])

EXAMPLE = """\
# HELP evenscan_requests_total Requests answered.
# TYPE evenscan_requests_total counter
evenscan_requests_total{method="POST",route="/v1/predictions",status="200"} 128.0
"""


@router.get(
    "/metrics",
    response_class=Response,
    responses=documented()
    | {
        200: {
            "description": "In the text format of Prometheus, or of OpenMetrics.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": EXAMPLE}},
        }
    },
)
def get_metrics(
    parts: Parts, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response:
    """Requests, latency, batches, queues, job states, predictions, models and memory."""
    encode, kind = choose_encoder(accept)
    return Response(encode(parts.metrics.registry), headers={"Content-Type": kind})
