"""Where statements end, whatever is quoted: hand-picked cases, and scripts made by hypothesis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediate.adapters.databases.sqltext import bind, expression, single, split, tokens
from remediate.errors import InputError

BOTH = [
    "SELECT 1",
    "SELECT ';'",
    'SELECT ";"',
    "SELECT 'it''s;'",
    "SELECT 1 /* ; */ + 1",
    "SELECT 1 -- ; \n + 1",
]
PIECES = {
    "mariadb": [
        *BOTH,
        r"SELECT 'a\';'",
        "SELECT `a;``b`",
        "SELECT 1 # ;\n",
        "SELECT 5--1",
        "/*!50001 SELECT ';' */",
    ],
    "postgres": [
        *BOTH,
        "SELECT $$;$$",
        "SELECT $a$ ; $$ ; $a$",
        r"SELECT 'a\'",
        r"SELECT E'a\';'",
        "SELECT 1 /* ; /* ; */ ; */",
        "SELECT a$b$c",
        "SELECT 'x'::text",
    ],
}


@pytest.mark.parametrize("engine", PIECES)
@given(data=st.data())
def test_a_script_is_the_statements_it_was_made_of(engine: str, data: st.DataObject) -> None:
    made = data.draw(st.lists(st.sampled_from(PIECES[engine]), max_size=6))
    glue = data.draw(st.sampled_from([";", ";\n", " ;\n-- ;\n", ";/* ; */\n"]))
    script = glue.join([*made, ""])
    assert [s.text.removeprefix("-- ;\n").removeprefix("/* ; */\n") for s in split(script, engine)] == [
        text.strip() for text in made
    ]


@pytest.mark.parametrize("engine", PIECES)
@given(text=st.text(alphabet="a1 ;:$'\"`\\/*-#%\n()", max_size=40))
def test_the_pieces_are_the_text(engine: str, text: str) -> None:
    try:
        pieces = list(tokens(text, engine, ";"))
    except InputError:
        return
    assert "".join(piece.text for piece in pieces) == text
    bound, params = bind(text, {}, engine)
    assert (bound % () if not params else bound) == text


def test_delimiter() -> None:
    script = """
DELIMITER //
CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END//
DELIMITER $$
CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW BEGIN SET @x = 1; END$$
delimiter ;
SELECT 3;
"""
    assert [(s.words[:2], s.line) for s in split(script, "mariadb")] == [
        (("CREATE", "PROCEDURE"), 3),
        (("CREATE", "TRIGGER"), 5),
        (("SELECT",), 7),
    ]


@pytest.mark.parametrize(
    ("engine", "script", "said"),
    [
        ("mariadb", "SELECT 'a", "does not end"),
        ("mariadb", "SELECT 1; /* a", "does not end"),
        ("postgres", "SELECT $x$ a", "does not end"),
        ("postgres", "/* /* */", "does not end"),
        ("postgres", "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END", "where its body ends"),
        ("mariadb", "CREATE PROCEDURE p() BEGIN SELECT 1; END", "where its body ends"),
        ("mariadb", "START TRANSACTION; SELECT 1", "begun and ended by remediate"),
        ("postgres", "SELECT 1;\n\nCOMMIT", "line 3"),
        ("mariadb", "DELIMITER\nSELECT 1", "that is none"),
    ],
)
def test_what_can_not_be_sure_is_refused(engine: str, script: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        split(script, engine)


def test_single() -> None:
    assert single("CREATE PROCEDURE p() BEGIN SELECT 1; END", "mariadb").words[:2] == ("CREATE", "PROCEDURE")
    with pytest.raises(InputError, match="empty"):
        single(" -- nothing", "mariadb")


@pytest.mark.parametrize("text", ["id = 1; DROP TABLE a", "id = 1) OR (1 = 1", "(id = 1", "", "id = 'a"])
def test_no_expression(text: str) -> None:
    with pytest.raises(InputError):
        expression(text, "postgres")


def test_expressions() -> None:
    for text in ("id IN (1, 2)", "a = ';)'", "state = :state -- ) ;\n AND 1 = 1"):
        expression(text, "mariadb")


def test_values_go_where_their_names_stand() -> None:
    text = "a = :a AND b = ':a' AND c::a > 1 AND d LIKE '5%' AND e = :other AND x[1:a] = :b"
    assert bind(text, {"a": 1, "b": "x"}, "postgres") == (
        "a = %s AND b = ':a' AND c::a > 1 AND d LIKE '5%%' AND e = :other AND x[1%s] = %s",
        [1, 1, "x"],
    )
