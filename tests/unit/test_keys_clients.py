"""Which program stands behind a User-Agent, and what it does when refused. Evidence: keys.md 4.1, clients.md 3.

The texts are those of recorded requests of the real programs, where they could be run.
"""

import pytest

from logboom.keys.clients import READERS, SENDERS, UNKNOWN_SENDER, Outcome, recognise

KEPT, BRIEFLY, LOST, STOPS, FAILS = (
    Outcome.KEPT,
    Outcome.KEPT_BRIEFLY,
    Outcome.LOST,
    Outcome.STOPS,
    Outcome.FAILS,
)


@pytest.mark.parametrize(
    ("agent", "family", "version", "on_403", "on_429", "on_504"),
    [
        ("logdna-agent/3.11.2 (Debian GNU/Linux/12)", "logdna_agent", "3.11.2", STOPS, KEPT, KEPT),
        ("python/1.18.12", "python", "1.18.12", LOST, BRIEFLY, BRIEFLY),
        ("@logdna/logger/2.6.13", "node_logger", "2.6.13", LOST, LOST, KEPT),
        (
            "@logdna/logger/2.6.13 (logdna-agent/2.2.2 Debian/12)",
            "node_logger",
            "2.6.13 (logdna-agent/2.2.2 Debian/12)",
            LOST,
            LOST,
            KEPT,
        ),
        ("logdna/3.5.3", "node_legacy", "3.5.3", KEPT, KEPT, KEPT),
        ("logdna-bunyan/1.3.2", "node_legacy", "1.3.2", KEPT, KEPT, KEPT),
        ("ruby/1.5.0", "ruby", "1.5.0", LOST, LOST, BRIEFLY),
        ("", "go", "", LOST, LOST, LOST),
        ("Go-http-client/1.1", "go", "", LOST, LOST, LOST),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.8078.79",
            "browser",
            "",
            LOST,
            LOST,
            KEPT,
        ),
        ("http.rb/4.4.1", "fluentd", "", KEPT, KEPT, KEPT),
        ("Manticore 0.9.1", "logstash", "", LOST, KEPT, KEPT),
        ("Fluent-Bit", "fluent_bit", "", BRIEFLY, BRIEFLY, BRIEFLY),
        ("Vector/0.57.0 (x86_64-unknown-linux-gnu)", "vector", "0.57.0", LOST, KEPT, KEPT),
        ("logspout/1.3.1", "logspout", "1.3.1", LOST, LOST, LOST),
        ("logdna-cloudwatch/2.2.1", "cloudwatch_lambda", "2.2.1", LOST, LOST, BRIEFLY),
        ("@mezmo/cloudwatch/2.0.1", "mezmo_cloudwatch_lambda", "2.0.1", LOST, LOST, LOST),
        ("mezmo-otel-exporter/0.120.0", "mezmo_otel_exporter", "0.120.0", LOST, LOST, LOST),
        ("OTel-OTLP-Exporter-Python/1.45.2", "otlp", "1.45.2", LOST, BRIEFLY, BRIEFLY),
        ("Logplex/v72", "logplex", "v72", LOST, BRIEFLY, BRIEFLY),
        ("curl/8.5.0", "curl", "8.5.0", FAILS, FAILS, FAILS),
        ("logboom/0.1.0", "logboom", "0.1.0", FAILS, BRIEFLY, BRIEFLY),
        ("python-requests/2.32.0", "unknown", "", Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.UNKNOWN),
    ],
)
def test_a_sender_is_recognised_and_its_ways_are_known(*, agent, family, version, on_403, on_429, on_504):
    client = recognise(agent, "logs")
    assert (client.family.name, client.version) == (family, version)
    effects = (client.family.on_403, client.family.on_429, client.family.on_504)
    assert tuple(effect.outcome for effect in effects) == (on_403, on_429, on_504)
    assert client.family.on_401.outcome is on_403


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        ("Go-http-client/1.1", "terraform"),
        ("HashiCorp Terraform/1.9 (+https://www.terraform.io)", "terraform"),
        ("logboom/0.1.0", "logboom"),
        ("curl/8.5.0", "curl"),
        ("python-requests/2.32.0", "reader"),
        ("Mozilla/5.0", "reader"),
        ("", "reader"),
    ],
)
@pytest.mark.parametrize("dialect", ["config", "export", "api"])
def test_a_reader_is_not_taken_for_a_sender(agent, family, dialect):
    found = recognise(agent, dialect).family
    assert found.name == family
    assert found.on_401.outcome is Outcome.FAILS


def test_families_have_names_of_their_own():
    names = [family.name for family in (*SENDERS, UNKNOWN_SENDER)]
    assert len(names) == len(set(names))
    assert len({family.name for family in READERS}) == len(READERS)
