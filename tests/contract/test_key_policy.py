"""`/api/keys/policy`: what an account wants of its keys, over HTTP. Evidence: keys.md 5.1, 5.5, 5.11."""

import re
import time

import pytest

PATH = "/api/keys/policy"
DEFAULT = {
    "format": "classic",
    "reveal": "always",
    "on_leak": {"ingestion": "warn", "service": "warn"},
    "overlap_idle": None,
    "lifetime_max": None,
    "audit_lines": False,
    "changed_ms": None,
}
DAY_MS = 86_400_000


@pytest.fixture
def ask(tester):
    def ask(method, path, body=None, key=None):
        headers = {"servicekey": key or tester.service_key}
        return tester.client.request(method, path, headers=headers, **({} if body is None else {"json": body}))

    return ask


def messages(answer):
    assert answer.status_code == 400
    return [detail["message"] for detail in answer.json()["details"]]


def now_ms():
    return time.time_ns() // 1_000_000


def test_an_account_without_a_policy_has_the_defaults(ask):
    answer = ask("GET", PATH)
    assert (answer.status_code, answer.json()) == (200, DEFAULT)


def test_what_is_left_out_stays(ask):
    first = ask("PATCH", PATH, {"format": "native", "on_leak": {"service": "rotate"}, "overlap_idle": "6h"})
    second = ask("PATCH", PATH, {"audit_lines": True, "lifetime_max": "90d", "overlap_idle": None})
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() | {"changed_ms": None} == DEFAULT | {
        "format": "native",
        "on_leak": {"ingestion": "warn", "service": "rotate"},
        "overlap_idle": "6h",
    }
    assert second.json() | {"changed_ms": None} == DEFAULT | {
        "format": "native",
        "on_leak": {"ingestion": "warn", "service": "rotate"},
        "lifetime_max": "90d",
        "audit_lines": True,
    }
    assert ask("GET", PATH).json() == second.json()
    assert first.json()["changed_ms"] <= second.json()["changed_ms"] <= now_ms()


def test_a_policy_is_its_accounts_own(ask, make_tester):
    ask("PATCH", PATH, {"format": "native"})
    assert ask("GET", PATH, key=make_tester().service_key).json() == DEFAULT


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"shape": "native"}, ['"shape" is not allowed'], id="unknown"),
        pytest.param({"format": "hex"}, ['"format" must be one of [classic, native]'], id="format"),
        pytest.param({"on_leak": "warn"}, ['"on_leak" must be of type object'], id="on_leak"),
        pytest.param(
            {"on_leak": {"service": "shrug", "people": "warn"}, "audit_lines": 1},
            [
                '"on_leak.service" must be one of [warn, hold, rotate, disable]',
                '"on_leak.people" is not allowed',
                '"audit_lines" must be a boolean',
            ],
            id="all at once",
        ),
        pytest.param({"overlap_idle": "0"}, ['"overlap_idle" must be longer than nothing'], id="nothing"),
        pytest.param({"overlap_idle": "31d"}, ['"overlap_idle" must be less than or equal to 720h'], id="too long"),
        pytest.param({"lifetime_max": 90}, ['"lifetime_max" must be a string'], id="number"),
        pytest.param(
            {"lifetime_max": "soon"},
            ['"lifetime_max" must be a number with s, m, h or d, as in 90s, 15m, 24h or 7d'],
            id="no span",
        ),
    ],
)
def test_broken_rules_are_told_all_at_once(ask, body, expected):
    assert messages(ask("PATCH", PATH, body)) == expected
    assert ask("GET", PATH).json() == DEFAULT


def test_new_keys_are_as_the_policy_says_unless_they_say_otherwise(ask):
    ask("PATCH", PATH, {"format": "native", "reveal": "never"})
    silent = ask("POST", "/api/keys", {"type": "ingestion"}).json()
    stated = ask("POST", "/api/keys", {"type": "ingestion", "format": "classic", "reveal": "always"}).json()
    assert (silent["format"], silent["reveal"], silent["value"][:4]) == ("native", "never", "lbi_")
    assert (stated["format"], stated["reveal"], len(stated["value"])) == ("classic", "always", 32)


def test_mezmos_address_takes_the_format_and_shows_its_keys_again(ask):
    ask("PATCH", PATH, {"format": "native", "reveal": "never"})
    made = ask("POST", "/v1/config/keys?type=ingestion").json()
    assert re.fullmatch(r"lbi_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}", made["key"])
    assert ask("GET", f"/v1/config/keys/{made['id']}").json() == made


def test_new_keys_must_expire_within_the_lifetime(ask):
    ask("PATCH", PATH, {"lifetime_max": "90d"})
    absent = '"expires_at_ms" is required: the account\'s policy lets keys live 90d at most'
    late = '"expires_at_ms" is too late: the account\'s policy lets keys live 90d at most'
    body = {"type": "ingestion"}
    assert messages(ask("POST", "/api/keys", body)) == [absent]
    assert messages(ask("POST", "/v1/config/keys?type=ingestion")) == [absent]
    assert messages(ask("POST", "/api/keys/import", body | {"value": "6e1f1b7c93a54d1f8e2b0c7d4a5f6b8c"})) == [absent]
    assert messages(ask("POST", "/api/keys", body | {"expires_at_ms": now_ms() + 91 * DAY_MS})) == [late]
    key = ask("POST", "/api/keys", body | {"expires_at_ms": now_ms() + 89 * DAY_MS}).json()
    assert messages(ask("PATCH", f"/api/keys/{key['id']}", {"expires_at_ms": None})) == [absent]
    assert ask("PATCH", f"/api/keys/{key['id']}", {"name": "still fine"}).status_code == 200


def test_keys_that_are_there_already_are_not_touched(ask):
    key = ask("POST", "/api/keys", {"type": "ingestion"}).json()
    ask("PATCH", PATH, {"lifetime_max": "90d", "format": "native", "reveal": "never"})
    after = ask("PATCH", f"/api/keys/{key['id']}", {"name": "web"}).json()
    del key["value"]
    assert after == key | {"name": "web"}


def test_a_change_is_in_the_audit_log_once(ask):
    for _ in range(2):
        ask("PATCH", PATH, {"on_leak": {"ingestion": "hold"}})
    (event,) = ask("GET", "/api/audit?action=policy.changed").json()["events"]
    assert (event["before"]["on_leak_ingestion"], event["after"]["on_leak_ingestion"]) == ("warn", "hold")
    assert (event["actor"]["kind"], event["door"], event["subject"]["kind"]) == ("service_key", "api", "policy")
