"""What a query's text means as a tree, and what it says when it means nothing."""

import pytest

from logboom import limits
from logboom.errors import QuerySyntaxError
from logboom.query import parse_query
from logboom.query.tree import (
    And,
    Comparison,
    FieldExists,
    FieldNumber,
    FieldText,
    MatchAll,
    Not,
    Or,
    Query,
    Strength,
    Text,
)

READABLE: dict[str, Query] = {
    "": MatchAll(),
    " \t\n": MatchAll(),
    "lin": Text("lin"),
    " lin ": Text("lin"),
    "===barrier": Text("barrier", Strength.CASED_TERM),
    "==bob": Text("bob", Strength.TERM),
    "=Err": Text("Err", Strength.CASED_PREFIX),
    '=="job failed"': Text("job failed", Strength.TERM),
    '"job failed"': Text("job failed"),
    "'job failed'": Text("job failed"),
    r'"a \"b\" \\c"': Text(r'a "b" \c'),
    '"a"': Text("a"),
    '"OR"': Text("OR"),
    "err*": Text("err"),
    "**": Text("**"),
    "*timeout*": Text("*timeout"),
    "/time.*out/": Text("/time.*out/"),
    "don't": Text("don't"),
    "key='v'": Text("key='v'"),
    "well-known": Text("well-known"),
    "12\\:30": Text("12:30"),
    "%VARIABLE%": Text("%VARIABLE%"),
    "me myself": And((Text("me"), Text("myself"))),
    "me AND myself": And((Text("me"), Text("myself"))),
    "this or that": And((Text("this"), Text("or"), Text("that"))),
    "this OR that": Or((Text("this"), Text("that"))),
    "me myself OR Ian": And((Text("me"), Or((Text("myself"), Text("Ian"))))),
    "(me myself) OR Ian": Or((And((Text("me"), Text("myself"))), Text("Ian"))),
    "((me))": Text("me"),
    "me(myself)": And((Text("me"), Text("myself"))),
    "-me": Not(Text("me")),
    "--me": Not(Text("-me")),
    "NOT me": Not(Text("me")),
    "NOT -me": Not(Not(Text("me"))),
    "-(me OR ian)": Not(Or((Text("me"), Text("ian")))),
    "health -ok OR ping": And((Text("health"), Or((Not(Text("ok")), Text("ping"))))),
    'app:memo -("success" OR "waiting")': And((FieldText("app", "memo"), Not(Or((Text("success"), Text("waiting")))))),
    "user.id:12345": FieldText("user.id", "12345"),
    "k8s.io/name:web": FieldText("k8s.io/name", "web"),
    "a\\:b:web": FieldText("a:b", "web"),
    "OR:web": FieldText("OR", "web"),
    "url:https://a.b/c": FieldText("url", "https://a.b/c"),
    "size:7": FieldText("size", "7"),
    "temperature:-5": FieldText("temperature", "-5"),
    'message:"Host \\"h\\" not found"': FieldText("message", 'Host "h" not found'),
    "level:=error": FieldText("level", "error", Strength.CASED_PREFIX),
    "level:==error": FieldText("level", "error", Strength.TERM),
    "level:===error": FieldText("level", "error", Strength.CASED_TERM),
    "level:err*": FieldText("level", "err"),
    "level:==err*": FieldText("level", "err*", Strength.TERM),
    "user:*": FieldExists("user"),
    'user:"*"': FieldText("user", "*"),
    "user:(* -bob)": And((FieldExists("user"), Not(FieldText("user", "bob")))),
    "-user:*": Not(FieldExists("user")),
    "response:>=400": FieldNumber("response", Comparison.AT_LEAST, 400),
    "response:<=-1.5": FieldNumber("response", Comparison.AT_MOST, -1.5),
    "response:>1e3": FieldNumber("response", Comparison.ABOVE, 1000),
    "response:<500": FieldNumber("response", Comparison.BELOW, 500),
    "response:=404": FieldText("response", "404", Strength.CASED_PREFIX),
    "response:(>=400 <500 -404)": And(
        (
            FieldNumber("response", Comparison.AT_LEAST, 400),
            FieldNumber("response", Comparison.BELOW, 500),
            Not(FieldText("response", "404")),
        )
    ),
    "status:(>100 AND <= 503)": And(
        (FieldNumber("status", Comparison.ABOVE, 100), FieldNumber("status", Comparison.AT_MOST, 503))
    ),
    "level:(warn OR ==error)": Or((FieldText("level", "warn"), FieldText("level", "error", Strength.TERM))),
    "level:-(debug OR trace)": Not(Or((FieldText("level", "debug"), FieldText("level", "trace")))),
    "level:((warn error) OR NOT fatal)": Or(
        (And((FieldText("level", "warn"), FieldText("level", "error"))), Not(FieldText("level", "fatal")))
    ),
    "level:[warn]": FieldText("level", "warn"),
    "level:[warning, error]": Or((FieldText("level", "warning"), FieldText("level", " error"))),
    "level:[warning,(error)]": Or((FieldText("level", "warning"), FieldText("level", "(error)"))),
    "level:===[warn,error]": Or(
        (FieldText("level", "warn", Strength.CASED_TERM), FieldText("level", "error", Strength.CASED_TERM))
    ),
}

UNREADABLE: dict[str, tuple[int, str]] = {
    "a": (0, 'quotes: "a"'),
    "up + down": (3, "quotes"),
    "a*": (0, 'quotes: "a"'),
    "word =x": (5, "quotes"),
    "up - down": (4, "quotes"),
    "up -": (4, "quotes"),
    "a == b": (0, "quotes"),
    "up == down": (3, "Nothing follows =="),
    "(up": (0, "never closed"),
    "up (down OR (left)": (3, "never closed"),
    "up)": (2, "never opened"),
    ")": (0, "missing here"),
    "()": (1, "missing here"),
    "-()": (2, "missing here"),
    '"up': (0, "never closed"),
    "up 'down": (3, "never closed"),
    'up "\\"': (3, "never closed"),
    '""': (0, "nothing between"),
    "up OR": (5, "missing here"),
    "up AND": (6, "missing here"),
    "AND up": (0, "AND needs something"),
    "OR": (0, "OR needs something"),
    "up AND OR down": (7, "OR needs something"),
    "(up AND)": (7, "missing here"),
    "NOT": (3, "missing here"),
    "-OR": (1, "OR needs something"),
    "meta.weather.monday: rain": (20, 'Put "meta.weather.monday:" in quotes'),
    "level:": (6, "A value must follow"),
    "(level:)": (7, "A value must follow"),
    ":up": (0, "name must stand before"),
    '"level":up': (7, "name must stand before"),
    "[12:30:45]": (0, "name must stand before"),
    "--level:up": (1, "name must stand before"),
    "==level:up": (0, "level:==..."),
    "level:>=warn": (8, "needs a number"),
    "level:>= 400": (8, "needs a number"),
    "level:>1e999": (7, "needs a number"),
    "level:>٣": (7, "needs a number"),
    "level:==": (6, "A value is missing"),
    "level:=(up)": (6, "A value is missing"),
    "level:()": (7, "missing here"),
    "level:(warn OR)": (14, "missing here"),
    "level:(warn": (6, "never closed"),
    "level:[warn": (6, "never closed"),
    "level:[]": (6, "empty"),
    "level:[warn,]": (6, "empty"),
    "up \ud83d": (3, "surrogate"),
}


@pytest.mark.parametrize("text", READABLE)
def test_a_query_means_this_tree(text):
    assert parse_query(text) == READABLE[text]


@pytest.mark.parametrize("text", UNREADABLE, ids=ascii)
def test_an_unreadable_query_says_where_and_how_to_mend_it(text):
    position, hint = UNREADABLE[text]
    with pytest.raises(QuerySyntaxError) as failure:
        parse_query(text)
    assert failure.value.position == position
    assert hint in failure.value.message


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        ("x" * limits.QUERY_CHARACTERS_MAX, "x" * (limits.QUERY_CHARACTERS_MAX + 1)),
        *(
            (opening * limits.QUERY_DEPTH_MAX + "up" + closing * limits.QUERY_DEPTH_MAX, opening * 5_000 + "up")
            for opening, closing in [("(", ")"), ("-(", ")"), ("NOT ", "")]
        ),
        ("up " * limits.QUERY_CLAUSES_MAX, "up " * (limits.QUERY_CLAUSES_MAX + 1)),
        ("level:[" + "a," * (limits.QUERY_CLAUSES_MAX - 1) + "a]", "level:[" + "a," * limits.QUERY_CLAUSES_MAX + "a]"),
    ],
    ids=["characters", "groups", "negated groups", "NOTs", "clauses", "list items"],
)
def test_a_query_is_bounded(within, beyond):
    parse_query(within)
    with pytest.raises(QuerySyntaxError, match="at most"):
        parse_query(beyond)
