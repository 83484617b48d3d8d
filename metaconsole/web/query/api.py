"""POST /api/v1/query: samples of series over a range.

The one promise: times ascend, what was not seen is null or absent, and nothing is interpolated.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from apiflask import APIBlueprint
from flask import Response
from pydantic import Field, model_validator
from pydantic_core import to_json

from metaconsole.store.downsample import OF_COUNTERS, Aggregate
from metaconsole.web.errors import Problem
from metaconsole.web.offload import offload
from metaconsole.web.query.answer import Answered, Range, Top, answer
from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.shapes import Milliseconds, Shape
from shared.catalogue import catalogue
from shared.model import Kind

api: Final = APIBlueprint("api_query", __name__, url_prefix="/api/v1", tag="query")
_LAST_MS: Final = 2**53
_UUID: Final = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


class OfResource(Shape):
    """Every series of one metric of one resource."""

    resource: str = Field(pattern=_UUID)
    metric: str = Field(min_length=1, max_length=200)


class OfTop(Shape):
    """The series with the highest values: the newest ones, or, with a step, the highest mean over the range."""

    kind: Kind
    site: str | None = Field(None, max_length=63)
    metric: str = Field(min_length=1, max_length=200)
    top: int = Field(ge=1, le=100)


class Question(Shape):
    """What to return."""

    select: list[OfResource | OfTop] = Field(min_length=1, max_length=500)
    from_ms: int = Field(alias="from", ge=0, le=_LAST_MS, description="UTC milliseconds, included")
    to_ms: int = Field(alias="to", ge=0, le=_LAST_MS, description="UTC milliseconds, excluded")
    step: int | None = Field(
        None, ge=1, le=366 * 86_400_000, description="milliseconds; null: the samples as they were taken"
    )
    aggregate: Aggregate = Field(
        "avg", description="of the samples of a step; without a step only rate and increase matter"
    )

    @model_validator(mode="after")
    def _ascends(self) -> "Question":
        if self.from_ms >= self.to_ms:
            raise ValueError("from lies before to")
        return self


class SeriesColumns(Shape):
    """A series as two columns of equal length."""

    id: str
    resource: str
    metric: str
    unit: str
    attributes: dict[str, str]
    times: list[Milliseconds] = Field(description="UTC milliseconds; with a step, where each step begins")
    values: list[float | None] = Field(description="null: not seen")


class Answer(Shape):
    """The series that were asked for."""

    series: list[SeriesColumns]


@api.post("/query")
@signed_in
@api.input(Question, location="json", arg_name="question")
@api.output(Answer)
@api.doc(operation_id="query", responses=[404])
def query(question: Question) -> Response:
    """Return samples of series over a range, as they were taken or aggregated into steps."""
    _check_rates(question)
    named = [(one.resource, one.metric) for one in question.select if isinstance(one, OfResource)]
    tops = [Top(one.kind, one.site, one.metric, one.top) for one in question.select if isinstance(one, OfTop)]
    span = Range(question.from_ms, question.to_ms, question.step, question.aggregate)
    with services().database.read() as connection:
        series = answer(connection, current_principal().scope, named, tops, span)
    # Columns of numbers that were made here need no second look by the shapes above.
    return Response(_body(series, question.aggregate), mimetype="application/json")


def _body(series: Sequence[Answered], aggregate: Aggregate) -> Iterator[bytes]:
    """Yield the answer piece by piece: as text it is several times what it was as arrays."""
    yield b'{"series":['
    for number, one in enumerate(series):
        piece: bytes = offload(lambda one=one: _item(one, aggregate))  # type: ignore[misc]  # a lambda's default
        yield b"," + piece if number else piece
    yield b"]}"


def _item(one: Answered, aggregate: Aggregate) -> bytes:
    metric = catalogue().get(one.series.metric)
    unit = metric.unit if metric else ""
    item = {
        "id": str(one.series.series_id),
        "resource": one.series.resource_id,
        "metric": one.series.metric,
        "unit": f"{unit}/s" if aggregate == "rate" else unit,
        "attributes": one.series.attributes,
        "times": one.times.tolist(),
        "values": one.values.tolist(),
    }
    return to_json(item, inf_nan_mode="null")  # NaN: not seen


def _check_rates(question: Question) -> None:
    if question.aggregate not in OF_COUNTERS:
        return
    for one in question.select:
        metric = catalogue().get(one.metric)
        if metric is not None and metric.kind != "counter":
            raise Problem(
                422,
                f"{question.aggregate} is for counters; {one.metric} is a {metric.kind}. "
                "Ask for avg, min, max or last.",
            )
