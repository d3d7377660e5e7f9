"""Text rules over every file of the repository: what must stand in it and what must not.

The forbidden texts are put together from pieces here, so that this file does not contain them.
"""

import ast
import re

import pytest
from sources import Source, our_sources, python_sources
from sources import all_sources as every_source

REGISTRIES = ("pypi" + ".org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "registry" + ".yarnpkg")
INDEX_OPTIONS = ("--index" + "-url", "--extra-index" + "-url", "--find" + "-links", "--trusted" + "-host")
MACHINE_PATHS = re.compile(r"(?<![\w.*-])/(?:" + "|".join(("work", "root", "tmp", "home" + r"/\w+")) + r")(?:/|\b)")
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + "ME|XX" + "X|HA" + r"CK)\b")
NAIVE_TIMES = re.compile(r"datetime\.now\(\)|\.utc" + r"now\(|utcfrom" + r"timestamp\(|datetime\.today\(")


@pytest.mark.parametrize("source", python_sources(), ids=str)
def test_every_module_says_what_it_is(source: Source) -> None:
    assert ast.get_docstring(source.tree)


@pytest.mark.parametrize("source", every_source(), ids=str)
def test_no_registry_address(source: Source) -> None:
    assert [name for name in (*REGISTRIES, *INDEX_OPTIONS) if name in source.text] == []


@pytest.mark.parametrize("source", every_source(), ids=str)
def test_no_path_of_a_machine(source: Source) -> None:
    assert [found.group() for found in MACHINE_PATHS.finditer(source.text)] == []


@pytest.mark.parametrize("source", our_sources(), ids=str)
def test_nothing_is_left_for_later(source: Source) -> None:
    assert UNFINISHED.findall(source.text) == []


@pytest.mark.parametrize("source", python_sources(), ids=str)
def test_times_know_their_zone(source: Source) -> None:
    assert NAIVE_TIMES.findall(source.text) == []


@pytest.mark.parametrize("source", our_sources(), ids=str)
def test_no_trailing_blanks_and_one_line_feed_at_the_end(source: Source) -> None:
    assert [number for number, text in enumerate(source.text.split("\n"), 1) if text != text.rstrip()] == []
    assert source.text == "" or re.search(r"[^\n]\n\Z", source.text)
