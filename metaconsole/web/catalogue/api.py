"""GET /api/v1/metrics-catalogue.

The one promise: it is the catalogue that satellites and pages use.
"""

from typing import Any, Final, Literal

from apiflask import APIBlueprint
from pydantic import Field

from metaconsole.web.security import signed_in
from metaconsole.web.shapes import Listed, Shape
from shared.catalogue import catalogue

api: Final = APIBlueprint("api_catalogue", __name__, url_prefix="/api/v1", tag="metrics")


class MetricItem(Shape):
    """A metric."""

    name: str
    unit: str = Field(description="UCUM")
    kind: Literal["gauge", "counter", "state"]
    description: str
    description_es: str
    resources: list[str] = Field(description="kinds of resources that it applies to")
    attributes: list[str]
    codes: dict[str, str] = Field(description="what the values of a state stand for")


class MetricItems(Listed[MetricItem]):
    """Metrics."""


@api.get("/metrics-catalogue")
@signed_in
@api.output(MetricItems)
@api.doc(operation_id="listMetrics")
def index() -> dict[str, Any]:
    """List every metric that there is."""
    items = [
        {
            "name": metric.name,
            "unit": metric.unit,
            "kind": metric.kind,
            "description": metric.description,
            "description_es": metric.description_es,
            "resources": sorted(metric.resources),
            "attributes": list(metric.attributes),
            "codes": {str(code): word for code, word in metric.codes.items()},
        }
        for metric in catalogue().values()
    ]
    return {"items": items, "next": None}
