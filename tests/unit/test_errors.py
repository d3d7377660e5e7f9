"""Every error class: a code, a status that keeps its promise to senders, a public message, one way of rendering."""

import json

import pytest

from logboom import errors
from logboom.asgi.respond import render_error

# What every one of Mezmo's buffering clients sends again: agent, Python, Node and Ruby. clients.md 3
KEPT_BY_SENDERS = {500, 504}
# Mezmo's agent shuts down on any other 4xx. mezmo-api 5.9
CLASSES = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LogboomError)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_class_has_a_public_message_and_a_place_in_the_tree(kind):
    assert kind.__doc__
    assert kind.__name__ in errors.__doc__


def test_our_trouble_keeps_senders_lines_and_theirs_does_not_pretend_to():
    for kind in CLASSES:
        is_theirs = issubclass(kind, errors.RequestError)
        assert (400 <= kind.status < 500) if is_theirs else kind.status in KEPT_BY_SENDERS


def test_rules_come_first_and_message_before_key_as_terraforms_tests_match_them():
    error = errors.ValidationFailed(errors.Detail('"name" is required', "name"), errors.Detail('"x" is bad', "x"))
    assert render_error(error).body == (
        b'{"details":[{"message":"\\"name\\" is required","key":"name"},{"message":"\\"x\\" is bad","key":"x"}],'
        b'"error":"\\"name\\" is required. \\"x\\" is bad","code":"BadRequest","status":"error"}'
    )


def test_our_trouble_says_when_to_come_back():
    answer = render_error(errors.Unavailable())
    assert (answer.status_code, answer.headers["retry-after"]) == (504, "5")
    assert json.loads(answer.body)["status"] == "error"
