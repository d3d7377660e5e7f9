"""Which lines a query finds, asked of the real engine.

The engine allows one data folder per process and other tests of the same run open theirs, so this module starts itself
as a program of its own, which keeps a table in memory and answers requests of one line of JSON each.
"""

import json
import subprocess
import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logboom import limits
from logboom.query import compile_query, parse_query
from logboom.query.tree import And, FieldText, Not, Or, Strength, Text

TABLE = """
CREATE TABLE lines (
    name String, account_id LowCardinality(String), ts DateTime64(3, 'UTC'), line_id UInt64,
    host LowCardinality(String), app LowCardinality(String), level LowCardinality(String), env LowCardinality(String),
    file LowCardinality(String), logtype LowCardinality(String), ip LowCardinality(String),
    ip_remote LowCardinality(String), mac LowCardinality(String), ingester LowCardinality(String),
    original_level LowCardinality(String), tags Array(LowCardinality(String)), line String, meta String, label String,
    annotation String, fields Map(LowCardinality(String), String), numbers Map(LowCardinality(String), Float64),
    line_bytes UInt32,
    INDEX line_grams (lower(line), lower(meta)) TYPE ngrambf_v1(4, 4096, 2, 7) GRANULARITY 1
) ENGINE = MergeTree ORDER BY name SETTINGS index_granularity = 4
"""

FLOAT_DIGITS_MAX = 15


def flatten(path, value):
    """Every leaf of *value* under its dotted path, as the mill does."""
    if isinstance(value, dict):
        prefix = f"{path}." if path else ""
        for key, member in value.items():
            yield from flatten(prefix + key, member)
    elif value is not None:
        yield path, value


def make_row(name, line, *, meta=None, label=None, annotation=None, **columns):
    text = line if isinstance(line, str) else json.dumps(line)
    leaves = list(flatten("", line)) if isinstance(line, dict) else []
    row = {"name": name, "line": text, "account_id": "a1b2c3d4e5", "line_bytes": len(text), **columns}
    for column, value in (("meta", meta), ("label", label), ("annotation", annotation)):
        if value is not None:
            row[column] = json.dumps(value)
            leaves += flatten(column, value)
    is_number = {path: isinstance(value, int | float) and not isinstance(value, bool) for path, value in leaves}
    row["numbers"] = {path: value for path, value in leaves if is_number[path]}
    row["fields"] = {
        path: value if isinstance(value, str) else json.dumps(value)
        for path, value in leaves
        if not is_number[path] or len(str(value)) > FLOAT_DIGITS_MAX
    }
    return row


ROWS = [
    make_row("healthy", "healthcheck successful", host="node1", app="memo", level="info", env="prod"),
    make_row("sick", "healthcheck failed", host="node2", app="memo-worker", level="Error", file="/var/log/syslog"),
    make_row(
        "ping", "PING from Linux", host="node1.example.com", app="cron", level="warning", tags=["prod", "eu-west"]
    ),
    make_row("barrier", "the barrier holds", level="warn", tags=["production"]),
    make_row("Barrier", "the Barrier holds", level="trace", env="staging"),
    make_row("subbarrier", "the subbarrier holds", level="debug", ip="10.0.0.1", mac="0A:1b:2c:3d:4e:5f"),
    make_row("camel", "uncaught SyntaxError in parseHTTPServerURL", logtype="nodejs", ingester="syslog-UDP:37043"),
    make_row("lower", "uncaught syntaxerror", ip_remote="192.0.2.7", original_level="NOTICE"),
    make_row("digits", "order abc123def shipped", ts=1_700_000_000.5, line_id=2**53 + 1),
    make_row("snake", "max_retry_count reached"),
    make_row("job", "the Job failed again"),
    make_row("jobs", "the job  failed with two blanks"),
    make_row("failedjob", "failed job"),
    make_row("missing", "file does not exist"),
    make_row("symbols", "expand %VARIABLE% to 1+1 = 100% of a_b\\c"),
    make_row("variable", "expand VARIABLE"),
    make_row("colon", "response: 403 Forbidden on login, robots.txt"),
    make_row("windows", "opened C:\\inetpub\\logs"),
    make_row("quotes", "don't say \"never\" or 'always'"),
    make_row("unicode", "Ärger im Café, ИСКЛЮЧЕНИЕ в модуле, naïveÜberlauf"),
    make_row("control", "nul \0 tab \t newline \n carriage \r end"),
    make_row("meta", "plain", meta={"status_code": 404, "weather": {"monday": "Rainstorm"}}),
    make_row("metadeep", "plain", meta={"note": "hidden treasure", "safe": True}),
    make_row("label", "plain", label={"database": "postgresql"}, annotation={"team/owner": "blue"}),
    make_row("r200", {"response": 200, "request": "GET /", "safe": True}),
    make_row("r401", {"response": 401, "request": "PUT /"}),
    make_row("r404", {"response": 404, "message": "file not there"}),
    make_row("r404text", {"response": "404", "message": 'Host "logdna-host" not found'}),
    make_row("r4041", {"response": 4041}),
    make_row("r503", {"response": 503.5, "temperature": -5}),
    make_row("zero", {"response": 0}),
    make_row("user", {"user": {"id": 12345, "geo": {"city": "Köln"}}, "name": "camelCasedName"}),
    make_row("bob", {"name": "bob", "user": {"id": 9007199254740993}}),
    make_row("Bob", {"name": "Bob Smith", "roles": ["user", "admin"]}),
    make_row("bobby", {"name": "bobby", "user": {"id": 9007199254740992}, "username": "x"}),
    make_row("namespace", {"namespace": "kube-system", "status": 200, "codes": [404, 500]}),
    make_row("Namespace", {"Namespace": "kube-public", "source": "node9"}),
    make_row("uri", {"target": {"typeURI": "logdna/account/streaming"}, "url": "https://a.b/c", "empty": None}),
]
EVERY = {row["name"] for row in ROWS}
PLAIN = {row["name"] for row in ROWS if not row["fields"] and not row["numbers"]}

FINDS = {
    "": EVERY,
    # Words are prefixes of tokens, without case.
    "healthcheck": {"healthy", "sick"},
    "lin": {"ping"},
    "BAR": {"barrier", "Barrier"},
    "arrier": set(),
    "===barrier": {"barrier"},
    "==BARRIER": {"barrier", "Barrier"},
    "=Barr": {"Barrier"},
    "barr*": {"barrier", "Barrier"},
    # Camel case, digits and symbols part tokens.
    "SyntaxError": {"camel", "lower"},
    "error": {"camel"},
    "==syntax": {"camel"},
    "===Syntax": {"camel"},
    "===SyntaxE": set(),
    "http": {"camel", "uri"},
    "==http": {"camel"},
    "url": {"camel", "uri"},
    "def": {"digits"},
    "123": {"digits", "user"},
    "==123": {"digits"},
    "==abc": {"digits"},
    "abc123": {"digits"},
    "23": set(),
    "retry": {"snake"},
    "==count": {"snake"},
    "retry_count": {"snake"},
    # Phrases, symbols, escapes.
    '"job failed"': {"job"},
    "'JOB fail'": {"job"},
    '"job  failed"': {"jobs"},
    '=="job fail"': set(),
    '==="Job failed"': {"job"},
    "file does not exist": {"missing"},
    "%VARIABLE%": {"symbols"},
    "%variable": {"symbols"},
    '"+"': {"symbols"},
    "+1": {"symbols"},
    '"0%"': set(),
    "==%VARIABLE": {"symbols"},
    "a_b": {"symbols"},
    '"a_b\\\\c"': {"symbols"},
    '"response:"': {"colon"},
    '"403 Forbidden" login': {"colon"},
    "robots.txt OR favicon.ico OR .well-known": {"colon"},
    '"C:\\\\inetpub\\\\logs"': {"windows"},
    "don't": {"quotes"},
    '"\\"never\\""': {"quotes"},
    '".*"': set(),
    '"nul \0 tab \t newline \n carriage \r end"': {"control"},
    '"\0"': {"control"},
    '"\n"': {"control"},
    '=="\0 tab"': {"control"},
    # Letters of every alphabet.
    "ärger": {"unicode"},
    "rger": set(),
    "исключение": {"unicode"},
    "==модуле": {"unicode"},
    "==модул": set(),
    "==CAFÉ": {"unicode"},
    "===CAFÉ": set(),
    "über": {"unicode"},
    "==naïve": {"unicode"},
    # Operators.
    "-plain": EVERY - {"meta", "metadeep", "label"},
    "healthcheck -successful": {"sick"},
    "healthcheck OR ping": {"healthy", "sick", "ping"},
    "healthcheck or ping": set(),
    "healthcheck -successful OR ping": {"sick"},
    "healthcheck (-successful OR ping)": {"sick"},
    "the holds OR failed": {"barrier", "Barrier", "subbarrier", "job", "jobs"},
    "(the holds) OR healthcheck": {"barrier", "Barrier", "subbarrier", "healthy", "sick"},
    '("does not" OR "job failed") -again': {"missing"},
    'app:memo -("successful" OR "waiting")': {"sick"},
    # Bare texts are found in meta as well, field texts only in their field.
    "treasure": {"metadeep"},
    "==rainstorm": {"meta"},
    "postgresql": set(),
    "_line:treasure": set(),
    '_line:"job failed"': {"job"},
    "meta:treasure": {"metadeep"},
    "label:postgres": {"label"},
    # Keyword columns: prefixes by token, terms whole.
    "host:node1": {"healthy", "ping"},
    "_host:NODE1": {"healthy", "ping"},
    "host:==NODE1": {"healthy"},
    "host:===node1": {"healthy"},
    "host:===NODE1": set(),
    "host:*": {"healthy", "sick", "ping"},
    "Host:node2": {"sick"},
    "source:node1": {"healthy", "ping"},
    "source:node9": {"Namespace"},
    "_source:*": {"healthy", "sick", "ping", "Namespace"},
    "source:node1 AND (file:/var/log/syslog OR LINUX)": {"ping"},
    "file:/var/log/syslog": {"sick"},
    "file:syslog": {"sick"},
    "host:node2 -app:mycoolapp": {"sick"},
    "app:===memo": {"healthy"},
    "app:worker": {"sick"},
    "level:error": {"sick"},
    "level:=error": set(),
    "level:=Err": {"sick"},
    "level:==error": {"sick"},
    "level:===error": set(),
    "level:[warning,error]": {"ping", "sick"},
    "level:===[warn,Error]": {"barrier", "sick"},
    "level:[warning, error]": {"ping"},
    "level:[warning,(error)]": {"ping"},
    "level:(warn OR error)": {"barrier", "ping", "sick"},
    "level:-(debug OR trace) holds": {"barrier"},
    "-level:error": EVERY - {"sick"},
    "-level:*": EVERY - {"healthy", "sick", "ping", "barrier", "Barrier", "subbarrier"},
    "env:prod": {"healthy"},
    "tag:prod": {"ping", "barrier"},
    "tags:==PROD": {"ping"},
    "_tag:===prod": {"ping"},
    "tag:==west": set(),
    "tag:*": {"ping", "barrier"},
    "_ip:10.0": {"subbarrier"},
    "_mac:==0a:1B:2c:3d:4e:5f": {"subbarrier"},
    "_ipremote:==192.0.2.7": {"lower"},
    "_original_level:notice": {"lower"},
    "_logtype:nodejs": {"camel"},
    "_ingester:syslog-UDP": {"camel"},
    "_account:*": EVERY,
    "_account:A1B2c3d4e5": EVERY,
    # Numeric columns.
    "_ts:>=1700000000500": {"digits"},
    "_ts:>1700000000500": set(),
    "_ts:1700000000500": {"digits"},
    "_id:9007199254740993": {"digits"},
    "_id:9007199254740992": set(),
    "_lid:==0": EVERY - {"digits"},
    "_id:abc": set(),
    "_mezmo_line_size:<6": {"meta", "metadeep", "label"},
    "_mezmo_line_size:*": EVERY,
    # JSON fields.
    "response:404": {"r404", "r404text"},
    "response:=404": {"r404", "r404text"},
    "response:===404": {"r404", "r404text"},
    "_response:404": {"r404", "r404text"},
    "response:0": {"zero"},
    "response:<=0": {"zero"},
    "response:<400": {"r200", "zero"},
    "response:>=400": {"r401", "r404", "r4041", "r503"},
    "response:(>=400 <500 -404)": {"r401"},
    "response:(>100 AND <= 503.5)": {"r200", "r401", "r404", "r503"},
    "response:>=200 response:<500 request:*": {"r200", "r401"},
    "response:401 OR response:404 request:*": {"r401"},
    "-response:>=0": EVERY - {"r200", "r401", "r404", "r4041", "r503", "zero"},
    "temperature:-5": {"r503"},
    "temperature:<0": {"r503"},
    "status:200": {"namespace"},
    "_status:200": {"namespace"},
    "safe:==true": {"r200"},
    "meta.safe:true": {"metadeep"},
    "user.id:12345": {"user"},
    "user.id:123": set(),
    "user.id:9007199254740993": {"bob"},
    "user.id:9007199254740992": {"bobby"},
    "user.geo.city:köln": {"user"},
    "user:*": {"user", "bob", "bobby"},
    "-user:*": EVERY - {"user", "bob", "bobby"},
    "empty:*": set(),
    "response:*": {"r200", "r401", "r404", "r404text", "r4041", "r503", "zero"},
    "name:=camelCasedName": {"user"},
    "name:=camelcasedname": set(),
    "name:cased": {"user"},
    "name:bob": {"bob", "Bob", "bobby"},
    "name:==bob": {"bob", "Bob"},
    "name:===Bob": {"Bob"},
    "roles:admin": {"Bob"},
    "roles:==min": set(),
    "codes:500": {"namespace"},
    "meta.status_code:404": {"meta"},
    "_meta.status_code:>400": {"meta"},
    "meta.weather.monday:rain": {"meta"},
    "label.database:postgresql": {"label"},
    "annotation.team/owner:blue": {"label"},
    "Namespace:kube-system -level:error": {"namespace"},
    "Namespace:kube": {"namespace", "Namespace"},
    'target.typeURI:"logdna/account/streaming"': {"uri"},
    'url:"https://a.b/c"': {"uri"},
    "url:https://a.b/c": {"uri"},
    # The message is a field, or else the line.
    'message:"Host \\"logdna-host\\" not found"': {"r404text"},
    "message:file": {"missing", "r404"},
    "message:[file, exist]": {"missing", "r404"},
    "message:*": EVERY,
    "message:plain": {"meta", "metadeep", "label"},
    "message:>1": set(),
}


class Engine:
    """The other process: `load` fills the table, `find` answers the names of the lines that a query finds."""

    def __init__(self, process):
        self.process = process

    def ask(self, **request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        assert "failure" not in answer, answer["failure"]
        return answer

    def load(self, rows):
        self.ask(rows=rows)

    def find(self, query):
        predicate = compile_query(query)
        return set(self.ask(sql=predicate.sql, parameters=dict(predicate.parameters))["names"])


@pytest.fixture(scope="module")
def query_engine():
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        yield Engine(process)
        process.stdin.close()


@pytest.fixture(scope="module")
def example_lines(query_engine):
    query_engine.load(ROWS)
    return query_engine


@pytest.mark.parametrize("text", FINDS, ids=ascii)
def test_a_query_finds_these_lines(example_lines, text):
    assert example_lines.find(parse_query(text)) == FINDS[text]


@pytest.mark.parametrize(
    "text",
    [
        "(" * limits.QUERY_DEPTH_MAX + "up" + " OR -down me)" * limits.QUERY_DEPTH_MAX,
        "-(" * limits.QUERY_DEPTH_MAX + "up" + ")" * limits.QUERY_DEPTH_MAX,
        " ".join(f"word{number}" for number in range(limits.QUERY_CLAUSES_MAX)),
        " OR ".join(f"message:A{number}*" for number in range(limits.QUERY_CLAUSES_MAX)),
        "==" + "é" * (limits.QUERY_CHARACTERS_MAX - 2),
        '"' + "\t" * (limits.QUERY_CHARACTERS_MAX - 2) + '"',
    ],
    ids=["deep groups", "deep negation", "many clauses", "many alternatives", "a long word", "a long phrase"],
)
def test_the_engine_takes_the_largest_queries(example_lines, text):
    assert example_lines.find(parse_query(text)) <= EVERY


ALPHABET = "aAbBzZ19éÉж٣ß中 -_.%\\\"'\n"
LINES = st.text(ALPHABET, max_size=14)
# Few characters, so that texts are often in the lines; longer ones reach the LIKE before the expression.
TEXTS = st.one_of(st.text("aAbB1- é", min_size=1, max_size=4), st.text(ALPHABET, min_size=1, max_size=6))
CLAUSES = st.one_of(
    st.builds(Text, TEXTS, st.sampled_from(Strength)),
    st.builds(FieldText, st.sampled_from(["host", "tag", "path.leaf"]), TEXTS, st.sampled_from(Strength)),
)
QUERIES = st.recursive(
    CLAUSES,
    lambda queries: st.one_of(
        st.builds(Not, queries),
        *(st.builds(shape, st.lists(queries, min_size=2, max_size=3).map(tuple)) for shape in (And, Or)),
    ),
    max_leaves=3,
)


def parts_tokens(before, after, beyond):
    """Whether a token ends between two neighbouring characters, given the one after them."""
    kinds = [character.isdecimal() + 2 * character.isalpha() for character in (before, after)]
    if 0 in kinds or kinds[0] != kinds[1]:
        return True
    cases = [unicodedata.category(character) if character else "" for character in (before, after, beyond)]
    return cases[:2] == ["Ll", "Lu"] or cases == ["Lu", "Lu", "Ll"]


def occurs(text, strength, line):
    """The rule of matching, slowly: try every place of the line."""
    size = len(text)
    places = range(len(line) + 1)
    edges = {0, len(line)}
    edges |= {at for at, pair in enumerate(pairwise(line), 1) if parts_tokens(*pair, line[at + 1 : at + 2])}
    return any(
        same(text, line[at : at + size], cased=strength.cased)
        and (at in edges or not text[0].isalnum())
        and (at + size in edges or not text[-1].isalnum() or not strength.whole)
        for at in places
    )


def same(text, other, *, cased):
    if cased:
        return text == other
    return len(text) == len(other) and all(b in {a, a.lower(), a.upper()} for a, b in zip(text, other, strict=True))


def is_meant(query, row):
    """What the predicate should say, read off the tree."""
    match query:
        case And(operands):
            return all(is_meant(operand, row) for operand in operands)
        case Or(operands):
            return any(is_meant(operand, row) for operand in operands)
        case Not(operand):
            return not is_meant(operand, row)
        case _:
            return any(found_in(value, query, whole=whole) for value, whole in list_values(query, row))


def list_values(clause, row):
    """Where the text of *clause* may be, and whether a term there is the whole value."""
    match clause:
        case Text():
            return [(row["line"], False), (row["meta"], False)]
        case FieldText("host"):
            return [(row["host"], True)]
        case FieldText("tag"):
            return [(tag, True) for tag in row["tags"]]
        case _:
            return [(row["fields"][clause.field], False)]


def found_in(value, clause, *, whole):
    if whole and clause.strength.whole:
        return same(clause.text, value, cased=clause.strength.cased)
    return occurs(clause.text, clause.strength, value)


ROW_SETS = st.lists(
    st.fixed_dictionaries(
        {
            "line": LINES,
            "meta": st.one_of(st.just(""), LINES),
            "host": LINES,
            "tags": st.lists(LINES, max_size=2),
            "fields": st.fixed_dictionaries({"path.leaf": LINES}),
        }
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(rows=ROW_SETS, queries=st.lists(QUERIES, min_size=1, max_size=6))
def test_the_predicate_agrees_with_the_rule(query_engine, rows, queries):
    named = [{"name": str(number), **row} for number, row in enumerate(rows)]
    query_engine.load(named)
    for query in queries:
        assert query_engine.find(query) == {row["name"] for row in named if is_meant(query, row)}


def answer_requests():
    """The other process: one request a line, one answer a line."""
    import chdb

    connection = chdb.connect(":memory:")
    connection.query(TABLE)
    for request in map(json.loads, sys.stdin):
        try:
            answer = answer_request(connection, request)
        except RuntimeError as failure:
            answer = {"failure": str(failure)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def answer_request(connection, request):
    if "rows" in request:
        connection.query("TRUNCATE TABLE lines")
        rows = "\n".join(json.dumps(row, ensure_ascii=False) for row in request["rows"])
        connection.query(f"INSERT INTO lines FORMAT JSONEachRow\n{rows}")
        return {}
    parameters = {name: escape(value) for name, value in request["parameters"].items()}
    sql = " ".join(("SELECT name FROM lines WHERE", request["sql"]))
    found = connection.query(sql, "TSV", params=parameters)
    return {"names": found.bytes().decode().split()}


def escape(value):
    if not isinstance(value, str):
        return value
    escapes = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"}
    return "".join(escapes.get(character, character) for character in value)


if __name__ == "__main__":
    answer_requests()
