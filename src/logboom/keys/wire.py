"""Mezmo's spelling of keys, both ways: the only place that knows the JSON members of `/v1/config/keys`.

Broken rules are reported all at once and in Joi's words, since Terraform shows the answer as it is.
"""

import msgspec

from logboom.errors import Detail, ValidationFailed
from logboom.keys.key import Key, KeyKind, NewKey, name_rules_broken

KINDS = tuple(KeyKind)


def parse_kind_filter(type_parameter: str | None) -> KeyKind | None:
    """The kind to list, None for all. Raises ValidationFailed."""
    # Mezmo: without `type` every key is listed; its documentation calls that default "all". mezmo-api 4.2
    if type_parameter is None or type_parameter == "all":
        return None
    if details := kind_rules_broken(type_parameter):
        raise ValidationFailed(*details)
    return KeyKind(type_parameter)


def parse_new_key(type_parameter: str | None, body: bytes) -> NewKey:
    """The key to create. Raises ValidationFailed."""
    # Mezmo: the type is a query parameter, never a body member, and the body is optional. mezmo-api 4.3
    name = parse_object(body).get("name", "")
    if details := (*kind_rules_broken(type_parameter), *_name_rules_broken(name)):
        raise ValidationFailed(*details)
    return NewKey(kind=KeyKind(str(type_parameter)), name=str(name))


def parse_name(body: bytes) -> str:
    """The new name, blank when it stays as it is. Raises ValidationFailed."""
    # Mezmo: members that are left out stay as they are; `{}` changes nothing. mezmo-api 4.5
    name = parse_object(body).get("name", "")
    if details := _name_rules_broken(name):
        raise ValidationFailed(*details)
    return str(name)


def render_key(key: Key) -> dict[str, object]:
    # Mezmo: create, list and get all return the value in full; Terraform reads it at every refresh. mezmo-api 24 Q34
    return {
        "id": key.id,
        "key": key.value,
        "name": key.name,
        "type": key.kind.value,
        "created": key.created_ms,
    }


def render_keys(keys: list[Key]) -> list[dict[str, object]]:
    # Mezmo: lists are bare arrays. mezmo-api 3
    return [render_key(key) for key in keys]


def render_deleted(key_id: str) -> dict[str, object]:
    # Mezmo: the shape is documented, the text is not. mezmo-api 4.6
    return {"message": f"Key {key_id} was deleted.", "deleted": True}


def parse_object(body: bytes) -> dict[str, object]:
    """The JSON object of *body*; an empty body is an empty object. Raises ValidationFailed."""
    if not body.strip():
        return {}
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError) as cause:  # ValueError covers bad JSON and bad UTF-8
        raise ValidationFailed(Detail(message='"value" must be valid JSON', key="value")) from cause
    if not isinstance(value, dict):
        raise ValidationFailed(Detail(message='"value" must be of type object', key="value"))
    return value


def kind_rules_broken(type_parameter: str | None) -> tuple[Detail, ...]:
    # Mezmo: a missing type is an error, never a guess. mezmo-api 24 Q5, Q7
    if type_parameter is None:
        return (Detail(message='"type" is required', key="type"),)
    if type_parameter not in KINDS:
        return (Detail(message=f'"type" must be one of [{", ".join(KINDS)}]', key="type"),)
    return ()


def _name_rules_broken(name: object) -> tuple[Detail, ...]:
    if not isinstance(name, str):
        return (Detail(message='"name" must be a string', key="name"),)
    return name_rules_broken(name)
