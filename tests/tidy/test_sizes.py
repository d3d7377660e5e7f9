"""Small: a function can be read at a glance, a file at a sitting, a call without counting arguments."""

import pytest
from sources import Source, functions, our_sources, python_sources

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
POSITIONAL_PARAMETERS_MAX = 6
# OpenAPI describes an API in one document, which is looked up by address and not read from end to end.
DESCRIPTIONS = {"src/logboom/openapi.json", "docs/api/openapi.json"}


@pytest.mark.parametrize("source", python_sources(), ids=str)
def test_functions(source: Source) -> None:
    sizes = {function.name: (function.end_lineno or 0) - function.lineno + 1 for function in functions(source)}
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES_MAX} == {}


def test_files() -> None:
    sizes = {source.path: len(source.text.splitlines()) for source in our_sources() if source.path not in DESCRIPTIONS}
    assert {path: size for path, size in sizes.items() if size > FILE_LINES_MAX} == {}


@pytest.mark.parametrize("source", python_sources("src/"), ids=str)
def test_positional_parameters(source: Source) -> None:
    counts = {function.name: len(function.args.posonlyargs + function.args.args) for function in functions(source)}
    assert {name: count for name, count in counts.items() if count > POSITIONAL_PARAMETERS_MAX} == {}
