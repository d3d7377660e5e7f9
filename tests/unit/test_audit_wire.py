"""The JSON of `/api/audit`: filters are read strictly, in Joi's words, and events are shown whole."""

import json

import pytest
from starlette.datastructures import QueryParams

from logboom.audit.chain import Head, Verification
from logboom.audit.event import Action, Actor, ActorKind, AuditEvent, AuditRow, Door, EventFilter, SubjectKind
from logboom.audit.wire import (
    parse_filter,
    parse_witness,
    render_event,
    render_events,
    render_line,
    render_verification,
)
from logboom.errors import ValidationFailed
from logboom.limits import AUDIT_PAGE_MAX

DIGITS = "0f" * 32
ROW = AuditRow(
    seq=7,
    event=AuditEvent(
        account_id="a" * 10,
        action=Action.KEY_DISABLED,
        actor=Actor(kind=ActorKind.SERVICE_KEY, id="d" * 24, name="terraform"),
        door=Door.API,
        subject_kind=SubjectKind.KEY,
        subject_id="c" * 24,
        address="192.0.2.1",
        user_agent="curl/8",
        request_id="r1",
        before={"state": "active"},
        after={"state": "disabled"},
        at_ms=5,
    ),
    hash=bytes.fromhex(DIGITS),
)
RENDERED = {
    "seq": 7,
    "at_ms": 5,
    "action": "key.disabled",
    "actor": {"kind": "service_key", "id": "d" * 24, "name": "terraform"},
    "door": "api",
    "address": "192.0.2.1",
    "user_agent": "curl/8",
    "request_id": "r1",
    "subject": {"kind": "key", "id": "c" * 24},
    "before": {"state": "active"},
    "after": {"state": "disabled"},
    "hash": DIGITS,
}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", EventFilter()),
        ("action=key.created", EventFilter(actions=(Action.KEY_CREATED,))),
        ("action=key.held,policy.changed", EventFilter(actions=(Action.KEY_HELD, Action.POLICY_CHANGED))),
        (f"key={'c' * 24}", EventFilter(subject_id="c" * 24)),
        ("from=0&to=1700000000000", EventFilter(from_ms=0, to_ms=1_700_000_000_000)),
        ("limit=1&after=12", EventFilter(limit=1, after_seq=12)),
        (f"limit={AUDIT_PAGE_MAX}&other=x", EventFilter()),
    ],
)
def test_filters(query, wanted):
    assert parse_filter(QueryParams(query)) == wanted


@pytest.mark.parametrize(
    ("query", "message"),
    [
        *(
            (f"action={given}", f'"action" must be a list of [{", ".join(Action)}]')
            for given in ("", "key", "key.created,", "KEY.CREATED")
        ),
        *((f"key={given}", '"key" must be the id of a key') for given in ("", "%00", "A", "c" * 65, "c%0A")),
        *((f"from={given}", '"from" must be a number') for given in ("", "-1", "1.5", "٣", "1" * 16)),
        ("to=x", '"to" must be a number'),
        ("after=x", '"after" must be a number'),
        *(
            (f"limit={given}", f'"limit" must be a number from 1 to {AUDIT_PAGE_MAX}')
            for given in (0, AUDIT_PAGE_MAX + 1)
        ),
    ],
)
def test_filters_that_cannot_be_read(query, message):
    with pytest.raises(ValidationFailed) as refusal:
        parse_filter(QueryParams(query))
    assert refusal.value.message == message


def test_a_witness():
    assert parse_witness(QueryParams("")) is None
    assert parse_witness(QueryParams(f"seq=7&hash={DIGITS}")) == Head(seq=7, hash=bytes.fromhex(DIGITS))


@pytest.mark.parametrize(
    ("query", "member"),
    [
        ("seq=7", "hash"),
        (f"hash={DIGITS}", "seq"),
        (f"seq=x&hash={DIGITS}", "seq"),
        (f"seq=0&hash={DIGITS}", "seq"),
        ("seq=7&hash=0F", "hash"),
        (f"seq=7&hash={DIGITS.upper()}", "hash"),
    ],
)
def test_a_witness_that_cannot_be_read(query, member):
    with pytest.raises(ValidationFailed) as refusal:
        parse_witness(QueryParams(query))
    assert [detail.key for detail in refusal.value.details] == [member]


def test_an_event_is_shown_whole_and_is_the_text_of_its_line():
    assert render_event(ROW) == RENDERED
    assert json.loads(render_line(ROW)) == RENDERED
    assert "\n" not in render_line(ROW)


def test_a_page_tells_where_the_next_one_begins():
    assert render_events([ROW, ROW], limit=2) == {"events": [RENDERED, RENDERED], "next": None}
    assert render_events([ROW, ROW], limit=1) == {"events": [RENDERED], "next": 7}
    assert render_events([], limit=1) == {"events": [], "next": None}


@pytest.mark.parametrize(("first_bad_seq", "ok"), [(None, True), (8, False)])
def test_a_verification(first_bad_seq, ok):
    head = Head(seq=7, hash=ROW.hash)
    verification = Verification(rows=7, head=head, since_ms=5, first_bad_seq=first_bad_seq)
    assert render_verification(verification) == {
        "ok": ok,
        "rows": 7,
        "first_bad_seq": first_bad_seq,
        "since_ms": 5,
        "head": {"seq": 7, "hash": DIGITS},
    }
