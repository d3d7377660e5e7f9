"""Readers of JSON members, for the native API: each gives what a member holds, or says in Joi's words what is wrong."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from logboom.errors import Detail, ValidationFailed
from logboom.keys.wire import parse_object

EPOCH_MS_MAX: Final = 253_402_300_799_999  # the end of the year 9999
Reader = Callable[[str, object], Any]


def read_members(body: bytes, readers: Mapping[str, Reader], *, needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The members of the object in *body*, each as its reader gives it. Raises ValidationFailed."""
    given = parse_object(body)
    absent = [Detail(message=f'"{member}" is required', key=member) for member in needed if member not in given]
    return _read(given, readers, absent)


def read_object(readers: Mapping[str, Reader]) -> Reader:
    """A reader of an object with these members; what is wrong inside is named by its path."""

    def read(member: str, given: object) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise broken(member, "must be of type object")
        return _read(given, readers, [], path=f"{member}.")

    return read


def _read(
    given: Mapping[str, object], readers: Mapping[str, Reader], details: list[Detail], *, path: str = ""
) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for member, content in given.items():
        try:
            members[member] = readers.get(member, _not_allowed)(path + member, content)
        except ValidationFailed as error:
            details += error.details
    if details:
        raise ValidationFailed(*details)
    return members


def _not_allowed(member: str, _given: object) -> object:
    raise broken(member[:40], "is not allowed")


def read_text(member: str, given: object) -> str:
    if not isinstance(given, str):
        raise broken(member, "must be a string")
    return given


def read_truth(member: str, given: object) -> bool:
    if not isinstance(given, bool):
        raise broken(member, "must be a boolean")
    return given


def read_labels(member: str, given: object) -> dict[str, str]:
    if not isinstance(given, dict) or not all(isinstance(text, str) for text in given.values()):
        raise broken(member, "must be an object of strings")
    return given


def read_moment(member: str, given: object) -> int | None:
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given <= EPOCH_MS_MAX:
        raise broken(member, "must be a time in milliseconds since 1970, or null")
    return given


def one_of(choices: type[StrEnum]) -> Reader:
    def read(member: str, given: object) -> Any:
        if given not in tuple(choices):
            raise broken(member, f"must be one of [{', '.join(choices)}]")
        return choices(str(given))

    return read


def broken(member: str, rule: str) -> ValidationFailed:
    return ValidationFailed(Detail(message=f'"{member}" {rule}', key=member))
