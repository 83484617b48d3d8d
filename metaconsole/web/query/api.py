"""POST /api/v1/query: samples of series over a range.

The one promise: times ascend, what was not seen is null or absent, and nothing is interpolated.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

from apiflask import APIBlueprint
from flask import Response
from pydantic import Field, model_validator
from pydantic_core import to_json

from metaconsole.store.downsample import OF_COUNTERS, Aggregate
from metaconsole.web.errors import Problem
from metaconsole.web.offload import offload
from metaconsole.web.query.answer import Answered, Group, Groups, Range, Top, answer, groups
from metaconsole.web.query.combine import Combination
from metaconsole.web.security import current_principal, signed_in
from metaconsole.web.services import services
from metaconsole.web.shapes import Milliseconds, Shape
from shared.catalogue import catalogue
from shared.model import Kind

api: Final = APIBlueprint("api_query", __name__, url_prefix="/api/v1", tag="query")
_LAST_MS: Final = 2**53
_AT_ONCE: Final = 20  # series that become text in one go
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
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


class OfGroups(Shape):
    """All series of a metric, those of each group combined into one value per step."""

    kind: Kind | None = Field(None, description="of resources; null: all")
    site: str | None = Field(None, max_length=63)
    metric: str = Field(min_length=1, max_length=200)
    group_by: list[Name] = Field(
        max_length=8, description="kind, site, resource, or an attribute of the series or else of its resource"
    )
    combine: Combination = Field(description="across the series of a group that have a value; pNN: percentiles")


class Question(Shape):
    """What to return."""

    select: list[OfResource | OfTop | OfGroups] = Field(min_length=1, max_length=500)
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
        if self.step is None and any(isinstance(one, OfGroups) for one in self.select):
            raise ValueError("groups are combined by steps: give a step")
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


class GroupColumns(Shape):
    """A group as two columns of equal length."""

    metric: str
    unit: str
    group: dict[str, str] = Field(description="what its series have in common; an empty text where one lacks it")
    series: int = Field(description="how many were combined")
    times: list[Milliseconds] = Field(description="where each step begins")
    values: list[float | None] = Field(description="null: not seen")


class Answer(Shape):
    """The series and the groups that were asked for."""

    series: list[SeriesColumns]
    groups: list[GroupColumns]


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
    asked = Range(question.from_ms, question.to_ms, question.step, question.aggregate)
    combined = [
        Groups(one.kind, one.site, one.metric, tuple(one.group_by), one.combine)
        for one in question.select
        if isinstance(one, OfGroups)
    ]
    scope, found = current_principal().scope, []
    with services().database.read() as connection:
        series = answer(connection, scope, named, tops, asked)
        if asked.span is not None:
            found = [group for one in combined for group in groups(connection, scope, one, asked.span)]
    # Columns of numbers that were made here need no second look by the shapes above.
    return Response(_body(series, found, question), mimetype="application/json")


def _body(series: Sequence[Answered], found: Sequence[Group], question: Question) -> Iterator[bytes]:
    """Yield the answer piece by piece: as text it is several times what it was as arrays."""
    yield b'{"series":['
    yield from _pieces(series, question)
    yield b'],"groups":['
    yield from _pieces(found, question)
    yield b"]}"


def _pieces(rows: Sequence[Answered | Group], question: Question) -> Iterator[bytes]:
    for begin in range(0, len(rows), _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        heads = [_head(one, question) for one in some]
        text: bytes = offload(partial(_text, heads, some))
        yield b"," + text if begin else text


def _text(heads: Sequence[dict[str, Any]], rows: Sequence[Answered | Group]) -> bytes:
    """Return objects of what stands in the heads and of two columns; those of one graph mostly share their times."""
    texts = {id(one.times): to_json(one.times.tolist()) for one in {id(one.times): one for one in rows}.values()}
    return b",".join(
        b'%b,"times":%b,"values":%b}'
        % (to_json(head)[:-1], texts[id(one.times)], to_json(one.values.tolist(), inf_nan_mode="null"))  # not seen
        for head, one in zip(heads, rows, strict=True)
    )


def _head(one: Answered | Group, question: Question) -> dict[str, Any]:
    if isinstance(one, Group):
        unit = "{series}" if one.how == "count" else _unit(one.metric, question)
        return {"metric": one.metric, "unit": unit, "group": one.labels, "series": one.series}
    return {
        "id": str(one.series.series_id),
        "resource": one.series.resource_id,
        "metric": one.series.metric,
        "unit": _unit(one.series.metric, question),
        "attributes": one.series.attributes,
    }


def _unit(metric: str, question: Question) -> str:
    known = catalogue().get(metric)
    unit = known.unit if known else ""
    return f"{unit}/s" if question.aggregate == "rate" else unit


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
