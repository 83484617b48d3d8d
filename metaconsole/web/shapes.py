"""Shapes that the features' answers have in common.

The one promise: an answer's field is what its description here says, or the answer is not given.
"""

from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

_Item = TypeVar("_Item")
Milliseconds: TypeAlias = Annotated[int, Field(description="UTC milliseconds")]
Attributes: TypeAlias = dict[str, Any]


class Shape(BaseModel):
    """What is sent or received; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class ListQuery(Shape):
    """How much of a list, and from where."""

    cursor: str | None = Field(None, max_length=4000, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=500, description="items of a page")


class Listed(Shape, Generic[_Item]):
    """A page of a list."""

    items: list[_Item]
    next: str | None = Field(None, description="cursor of the next page; null on the last")


class ProblemShape(BaseModel):
    """An error, as RFC 9457 says."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None
    request_id: str | None = None
