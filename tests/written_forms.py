"""All the ways in which a key value is written into lines, as the tests and the benchmark of the scanner plant it.

Each form takes a value and what stands around it, and gives the text of a line.
"""

import base64
import json
import random
from collections.abc import Callable
from urllib.parse import quote

Form = Callable[[str, random.Random], str]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def percent(text: str, *, signs: str = "%") -> str:
    return "".join(f"{signs}{ord(character):02X}" for character in text)


def unicode_escaped(text: str, *, slashes: str = "\\") -> str:
    return "".join(f"{slashes}u{ord(character):04x}" for character in text)


def some(text: str, chance: random.Random, escape: Callable[[str], str]) -> str:
    """Some characters escaped, at least one."""
    sure = chance.randrange(len(text))
    return "".join(
        escape(character) if at == sure or chance.random() < 0.3 else character for at, character in enumerate(text)
    )


def raw_unicode(value: str, chance: random.Random) -> bytes:
    """A value within the JSON of a request, some of its characters escaped there."""
    return some(value, chance, unicode_escaped).encode()


def json_in(value: object, depth: int) -> str:
    for _ in range(depth):
        value = json.dumps(value)
    return str(value)


# What a line's text is. Every one of them is found whatever stands around it.
FORMS: dict[str, Form] = {
    "bare": lambda v, _: v,
    "quoted": lambda v, _: f"'{v}'",
    "assignment": lambda v, _: f"LOGDNA_KEY={v}",
    "YAML": lambda v, _: f"ingestion_key: {v}",
    "header": lambda v, _: f"apikey: {v}",
    "Token": lambda v, _: f"Authorization: Token {v}",
    "Python repr": lambda v, _: repr({"apikey": v}),
    "Python bytes": lambda v, _: repr([(b"apikey", v.encode())]),
    "query": lambda v, _: f"GET /logs/ingest?hostname=h&apikey={v}&now=1",
    "URL with user": lambda v, _: f"https://{v}:@logs.example.com/logs/ingest",
    "encoded query": lambda v, _: f"next=%2Flogs%3Fapikey%3D{v}%26now%3D1",
    "twice encoded query": lambda v, _: f"next=%252Flogs%253Fapikey%253D{v}%2526now",
    "three times encoded query": lambda v, _: f"apikey%25253D{v}",
    "encoded quotes": lambda v, _: f"q=%22{v}%22",
    "backspace before": lambda v, _: f"\b{v}",
    "form feed before": lambda v, _: f"\f{v}\f",
    "line feeds around": lambda v, _: f"key\n{v}\nend",
    "hex escape before": lambda v, _: f"\\x22{v}\\x22",
    "accent before": lambda v, _: f"é{v}é",
    "JSON": lambda v, _: json.dumps({"a": {"servicekey": v}}),
    "JSON in JSON": lambda v, _: json_in({"servicekey": v}, 2),
    "JSON in JSON in JSON": lambda v, _: json_in({"servicekey": v}, 3),
    "escaped quotes": lambda v, _: f"\\u0022{v}\\u0022",
    "Basic user": lambda v, _: "Authorization: Basic " + b64(f"{v}:"),
    "Basic password": lambda v, _: "Authorization: Basic " + b64(f"user:{v}"),
    "Basic without colon": lambda v, _: "authorization: basic " + b64(v),
    "Basic without padding": lambda v, _: "Basic " + b64(f"{v}:").rstrip("="),
    "Basic in JSON": lambda v, _: json.dumps({"Authorization": "Basic " + b64(f"x:{v}")}),
    "Basic in a URL": lambda v, _: "auth=Basic%20" + quote(b64(f"account:{v}"), safe=""),
    "percent-encoded": lambda v, _: percent(v),
    "percent-encoded in part": lambda v, chance: some(v, chance, percent),
    "twice percent-encoded": lambda v, _: percent(v, signs="%25"),
    "twice percent-encoded in part": lambda v, chance: some(v, chance, lambda c: percent(c, signs="%25")),
    "Unicode escapes": lambda v, _: unicode_escaped(v),
    "Unicode escapes in part": lambda v, chance: some(v, chance, unicode_escaped),
    "Unicode escapes twice escaped": lambda v, _: unicode_escaped(v, slashes="\\\\"),
}
# For values of hex digits only; a native value in other letters is another value.
HEX_FORMS: dict[str, Form] = {
    "upper case": lambda v, _: v.upper(),
    "mixed case": lambda v, chance: "".join(chance.choice((c.upper(), c)) for c in v),
    "upper case, percent-encoded": lambda v, _: percent(v.upper()),
    "upper case in Basic": lambda v, _: "Basic " + b64(f"{v.upper()}:"),
}
