"""What a program does when it is refused: whether its lines are kept, lost, or the program ends. Pure.

The families are Mezmo's own senders and those of others who speak its protocol, known by their User-Agent. Each effect
was seen on the real program, or read in its source. keys.md 4.1, clients.md 3 and 4
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SENDING_DIALECTS: Final = frozenset({"logs", "agent"})


class Outcome(StrEnum):
    """What becomes of lines, or of the work of who reads."""

    KEPT = "kept"  # and sent again for as long as it takes
    KEPT_BRIEFLY = "kept_briefly"  # and lost after a few tries
    LOST = "lost"
    STOPS = "stops"  # the program ends
    FAILS = "fails"  # a command or a request fails, and somebody sees it
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Effect:
    """What happens, and the sentence that says so."""

    outcome: Outcome
    text: str


@dataclass(frozen=True, kw_only=True)
class Family:
    """Programs that behave alike. *name* is stable, *title* is for people, *agent* matches what they say they are."""

    name: str
    title: str
    agent: re.Pattern[str]
    on_401: Effect
    on_403: Effect
    on_429: Effect
    on_504: Effect


@dataclass(frozen=True)
class Client:
    """A program of a family, and its version if it tells it."""

    family: Family
    version: str


def recognise(agent: str, dialect: str) -> Client:
    """The program behind a User-Agent that asks a family of addresses."""
    for family in SENDERS if dialect in SENDING_DIALECTS else READERS:
        found = family.agent.match(agent)
        if found:
            return Client(family, found.groupdict().get("version") or "")
    return Client(UNKNOWN_SENDER if dialect in SENDING_DIALECTS else READER, "")


def _family(
    name: str, title: str, agent: str, *, refused: Effect, on_429: Effect, on_504: Effect, on_401: Effect | None = None
) -> Family:
    pattern = re.compile(agent)
    on_401 = on_401 or refused
    return Family(name=name, title=title, agent=pattern, on_401=on_401, on_403=refused, on_429=on_429, on_504=on_504)


RESENT: Final = Effect(Outcome.KEPT, "keeps its lines and sends them again for as long as it takes")
DROPPED: Final = Effect(Outcome.LOST, "drops the lines that it has buffered, and goes on with the next")
SHUTS_DOWN: Final = Effect(Outcome.STOPS, "shuts down and has to be started again; it then reads its files on")
NODE_DROPPED: Final = Effect(
    Outcome.LOST,
    "drops the lines that it has buffered and puts the key into an error event; "
    "an application that does not listen to that event ends",
)
PYTHON_RETRIED: Final = Effect(Outcome.KEPT_BRIEFLY, "tries three times within 16 seconds, then drops the lines")
RUBY_RETRIED: Final = Effect(Outcome.KEPT_BRIEFLY, "tries three times within 3 seconds, then drops the lines")
NODE_OLD_RETRIED: Final = Effect(
    Outcome.KEPT, "puts its lines back and sends them with the next ones, for as long as it runs"
)
GO_LOST: Final = Effect(Outcome.LOST, "does not look at the answer: the lines are lost")
FLUENTD_RETRIED: Final = Effect(Outcome.KEPT, "leaves its lines in Fluentd's buffer, which sends them again")
FLUENT_BIT_RETRIED: Final = Effect(
    Outcome.KEPT_BRIEFLY, "tries once more within 11 seconds unless Retry_Limit says otherwise, then drops the lines"
)
LOGSPOUT_RETRIED: Final = Effect(Outcome.LOST, "tries six times within a tenth of a second, then drops the lines")
LAMBDA_DROPPED: Final = Effect(Outcome.LOST, "reports success to AWS and drops the lines")
LAMBDA_RETRIED: Final = Effect(Outcome.KEPT_BRIEFLY, "tries five times within 6 seconds, then drops the lines")
EXPORTER_LOST: Final = Effect(Outcome.LOST, "writes it to its own log and drops the lines")
OTLP_RETRIED: Final = Effect(Outcome.KEPT_BRIEFLY, "tries again for about 10 seconds, then drops the lines")
LOGPLEX_RETRIED: Final = Effect(Outcome.KEPT_BRIEFLY, "tries once more, then drops the lines")
BROWSER_RETRIED: Final = Effect(Outcome.KEPT, "tries up to thirty times, as long as the page is open")
COMMAND_FAILED: Final = Effect(Outcome.FAILS, "fails and says so")
CURL_FAILED: Final = Effect(Outcome.FAILS, "shows the answer to whoever called it; it does not try again by itself")
LOGBOOM_RETRIED: Final = Effect(Outcome.KEPT_BRIEFLY, "tries six times within 15 seconds, then fails and says so")
TERRAFORM_FAILED: Final = Effect(Outcome.FAILS, "fails its plan or apply; what it manages stays as it is")
SENDER_REFUSED: Final = Effect(Outcome.UNKNOWN, "is not known here; most senders drop their lines on this")
SENDER_HELD: Final = Effect(
    Outcome.UNKNOWN, "is not known here; most senders keep their lines on this, at least briefly"
)
READER_FAILED: Final = Effect(Outcome.FAILS, "is told so, and its work fails until it has another key")
READER_HELD: Final = Effect(Outcome.FAILS, "is told to come back, and its work fails if it does not")

CURL: Final = _family(
    "curl", "curl", r"curl/(?P<version>\S+)", refused=CURL_FAILED, on_429=CURL_FAILED, on_504=CURL_FAILED
)
LOGBOOM: Final = _family(
    "logboom",
    "logboom (the command line)",
    r"logboom/(?P<version>\S+)",
    refused=COMMAND_FAILED,
    on_429=LOGBOOM_RETRIED,
    on_504=LOGBOOM_RETRIED,
)
UNKNOWN_SENDER: Final = _family(
    "unknown", "an unknown sender", "", refused=SENDER_REFUSED, on_429=SENDER_REFUSED, on_504=SENDER_HELD
)
READER: Final = _family(
    "reader", "a reading program", "", refused=READER_FAILED, on_429=READER_HELD, on_504=READER_HELD
)

# The first that matches. The wrappers of @logdna/logger (the old agent, winston, pino, the S3 lambda) stand behind it.
SENDERS: Final = (
    _family(
        "node_logger",
        "@logdna/logger (Node)",
        r"@logdna/logger/(?P<version>.+)",
        refused=NODE_DROPPED,
        on_429=NODE_DROPPED,
        on_504=RESENT,
    ),
    _family(
        "logdna_agent",
        "logdna-agent",
        r"logdna-agent/(?P<version>\S+)",
        refused=SHUTS_DOWN,
        on_429=RESENT,
        on_504=RESENT,
    ),
    _family(
        "python",
        "logdna (Python)",
        r"python/(?P<version>\d\S*)",
        refused=DROPPED,
        on_429=PYTHON_RETRIED,
        on_504=PYTHON_RETRIED,
    ),
    _family(
        "node_legacy",
        "logdna (old Node library)",
        r"logdna(?:-bunyan)?/(?P<version>\S+)",
        refused=NODE_OLD_RETRIED,
        on_429=NODE_OLD_RETRIED,
        on_504=NODE_OLD_RETRIED,
    ),
    _family("ruby", "logdna (Ruby)", r"ruby/(?P<version>\S+)", refused=DROPPED, on_429=DROPPED, on_504=RUBY_RETRIED),
    _family(
        "fluentd",
        "fluent-plugin-logdna",
        r"http\.rb/\S+",
        refused=FLUENTD_RETRIED,
        on_429=FLUENTD_RETRIED,
        on_504=FLUENTD_RETRIED,
    ),
    _family("logstash", "Logstash", r"Manticore \S+", refused=DROPPED, on_429=RESENT, on_504=RESENT),
    _family(
        "fluent_bit",
        "Fluent Bit",
        r"Fluent-Bit",
        refused=FLUENT_BIT_RETRIED,
        on_429=FLUENT_BIT_RETRIED,
        on_504=FLUENT_BIT_RETRIED,
    ),
    _family("vector", "Vector", r"Vector/(?P<version>\S+)", refused=DROPPED, on_429=RESENT, on_504=RESENT),
    _family(
        "logspout",
        "logspout",
        r"logspout/(?P<version>\S+)",
        refused=DROPPED,
        on_429=DROPPED,
        on_504=LOGSPOUT_RETRIED,
    ),
    _family(
        "cloudwatch_lambda",
        "logdna-cloudwatch (lambda)",
        r"logdna-cloudwatch/(?P<version>\S+)",
        refused=LAMBDA_DROPPED,
        on_429=LAMBDA_DROPPED,
        on_504=LAMBDA_RETRIED,
    ),
    _family(
        "mezmo_cloudwatch_lambda",
        "@mezmo/cloudwatch (lambda)",
        r"@mezmo/cloudwatch/(?P<version>\S+)",
        refused=DROPPED,
        on_429=DROPPED,
        on_504=DROPPED,
    ),
    _family(
        "mezmo_otel_exporter",
        "OpenTelemetry Collector (mezmo exporter)",
        r"mezmo-otel-exporter/(?P<version>\S+)",
        refused=EXPORTER_LOST,
        on_429=EXPORTER_LOST,
        on_504=EXPORTER_LOST,
    ),
    _family(
        "otlp",
        "OpenTelemetry SDK",
        r"OTel-OTLP-Exporter-\w+/(?P<version>\S+)",
        refused=DROPPED,
        on_429=OTLP_RETRIED,
        on_504=OTLP_RETRIED,
    ),
    _family(
        "logplex",
        "Heroku Logplex",
        r"Logplex/(?P<version>\S+)",
        refused=DROPPED,
        on_429=LOGPLEX_RETRIED,
        on_504=LOGPLEX_RETRIED,
    ),
    _family("browser", "@logdna/browser", r"Mozilla/", refused=DROPPED, on_429=DROPPED, on_504=BROWSER_RETRIED),
    # logdna-go says nothing at all of itself; others in Go say so much.
    _family(
        "go",
        "logdna-go, or another program in Go",
        r"(?:Go-http-client/.*)?\Z",
        refused=GO_LOST,
        on_429=GO_LOST,
        on_504=GO_LOST,
    ),
    LOGBOOM,
    CURL,
)

READERS: Final = (
    _family(
        "terraform",
        "Terraform, or another program in Go",
        r"(?i:.*terraform|Go-http-client/)",
        refused=TERRAFORM_FAILED,
        on_429=TERRAFORM_FAILED,
        on_504=TERRAFORM_FAILED,
    ),
    LOGBOOM,
    CURL,
)
