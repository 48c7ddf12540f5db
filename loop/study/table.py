"""What a table of `cockpit.toml` is: a type whose fields are its keys, and the keys of the table of a path."""

from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict


class Table(BaseModel):
    """A table of the file: its keys are these and no others.

    What stands below a key says what it is for, and after an empty line gives it as it may stand in the file; without
    that, its default is the example. `cockpit config` and docs/configuration.md say these words: reference.py.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def plain(kind: Any) -> Any:
    """A type without what is said of it, and without None, which no file can hold."""
    if get_origin(kind) is Annotated:
        return plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        one, *more = (part for part in get_args(kind) if part is not NoneType)
        return kind if more else plain(one)
    return kind


def keys(whole: type[Table], path: tuple[str, ...]) -> list[str]:
    """The keys that a table may have, by its path in the whole; none where names are the user's, or there is none."""
    kind: Any = whole
    for part in path:
        if isinstance(kind, type) and issubclass(kind, Table):
            found = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}.get(part)
        else:
            found = get_args(kind)[1] if get_origin(kind) is dict else None
        kind = plain(found)
    table = isinstance(kind, type) and issubclass(kind, Table)
    return [field.alias or name for name, field in kind.model_fields.items()] if table else []
