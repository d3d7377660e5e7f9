"""Names are Mezmo's words or say what a thing is: identifiers that could stand for anything are refused.

The rule is about names that we give, in `src`: functions, classes, parameters, variables, attributes and modules.
"""

import ast
import re
from collections.abc import Iterator

import pytest
from sources import Source, python_sources

EMPTY_WORDS = {
    *("base", "common", "data", "handle", "handler", "helper", "helpers", "info", "manage", "manager"),
    *("process", "processor", "util", "utils"),
}
OTHER_PRODUCTS_WORDS = {"entry", "entries", "org", "orgs", "payload", "payloads", "tenant", "tenants"}
# Terms that hold such a word and mean one thing; they are taken out of a name before its words are judged.
TERMS = re.compile(
    r"data_dir|DataFolder"  # the setting LOGBOOM_DATA_DIR, a word that every operator knows, and its error
    r"|data_keys?"  # cryptography's name for the key that encrypts, under a key that encrypts keys
    r"|(?:KEYS|MEMBERS)_MANAGE"  # scopes of service keys, under the names that they are stored with
    r"|data_received|\bbase_url"  # asyncio's and httpx2's names
)
ASYNCIO_PARAMETER = "data"  # of Protocol.data_received, which may be called by name
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def given_names(source: Source) -> Iterator[str]:
    yield source.module.rpartition(".")[2]
    for node in ast.walk(source.tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name) if name != ASYNCIO_PARAMETER:
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def words(name: str) -> set[str]:
    return {word.lower() for word in WORD.findall(TERMS.sub("_", name))}


@pytest.mark.parametrize("source", python_sources("src/"), ids=str)
def test_names(source: Source) -> None:
    refused = EMPTY_WORDS | OTHER_PRODUCTS_WORDS
    assert {name for name in given_names(source) if words(name) & refused} == set()
