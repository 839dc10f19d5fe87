"""The words and signs of Flink SQL: text to tokens.

The rule language is read by a lexer and parsers of its own (`mohhos.stream.parse`), because it has to be strict.
sqlglot's parser is made to understand as many dialects as possible: it takes `CASE WHEN a b END`, `BETWEEN 1 2`,
`SELECT a, FROM t`, `a::INT`, `!a`, `FILTER (a > 1)`, `{# … #}` or `SELECT value, end`, none of which Flink runs, and
gives the same tree as for correct text, so that no later check can tell; most nodes of its tree have no position.
"""

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass

from mohhos.stream.errors import RuleError, Span

__all__ = ["MAX_TEXT", "Kind", "Token", "tokenize"]

MAX_TEXT = 100_000
"""How many characters a rule's text may have."""


class Kind(enum.Enum):
    """What a token is."""

    WORD = "a word"
    QUOTED = "a name in back quotes"
    STRING = "a string"
    NUMBER = "a number"
    SIGN = "a sign"
    END = "the end of the text"


@dataclass(frozen=True, slots=True)
class Token:
    """One token. `text` is what it stands for: a string without its quotes, a word as it was written.

    `key` is what the grammar compares: a word in upper case, a sign, and empty for everything else.
    """

    kind: Kind
    text: str
    span: Span
    key: str = ""

    @property
    def word(self) -> str:
        """The upper-case word, empty for everything that is not an unquoted word."""
        return self.key if self.kind is Kind.WORD else ""


_TOKEN = re.compile(
    r"""
      (?P<space>   \s+ | --[^\r\n]* )
    | (?P<hint>    /\*\+ )
    | (?P<comment> /\* )
    | (?P<string>  '(?:[^']|'')*' )
    | (?P<quoted>  `(?:[^`]|``)*` )
    | (?P<number>  (?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)? )
    | (?P<word>    [^\W\d]\w* )
    | (?P<sign>    <> | <= | >= | \|\| | => | [-+*/%<>=(),.;] )
    """,
    re.VERBOSE,
)

_WRONG_SIGNS = {
    "'": ("the string has no closing quote", "Close it with '; a quote inside a string is written twice"),
    "`": ("the name has no closing back quote", "Close it with `"),
    '"': ('"…" is not a string and not a name in Flink SQL', "Write 'text' for a string, `name` for a name"),
    "!": ("Flink SQL has no !", "Write <> for not equal, NOT for the opposite of a condition"),
    "[": ("arrays, maps and rows are not in the rule language", "Use one column for each value"),
    "{": ("{ is not of the language", "Take it out"),
    ":": ("Flink SQL has no casts with ::", "Write CAST(value AS TYPE)"),
    "?": ("a rule has no parameters", "Write the value itself"),
    "&": ("Flink SQL has no operators on bits", "Compare or calculate with + - * /"),
    "|": ("Flink SQL has no operators on bits", "Write || to join strings, OR for conditions"),
    "^": ("Flink SQL has no ^", "Write POWER(x, y)"),
    "~": ("Flink SQL has no ~", "Write LIKE"),
    "#": ("# begins no comment", "Begin it with --"),
    "@": ("@ is not of the language", "Take it out"),
    "$": ("$ is not of the language", "Put a name with special characters in back quotes"),
    "\\": ("\\ is not of the language", "Flink SQL has no escapes with \\; a quote inside a string is written twice"),
}


def tokenize(sql: str) -> list[Token]:
    """The tokens of a text, the last of them `Kind.END`. Comments are skipped. Raises RuleError."""
    if len(sql) > MAX_TEXT:
        reason = f"the text has {len(sql)} characters, and at most {MAX_TEXT} are allowed"
        raise RuleError("rule-too-large", reason, "Split it into several rules")
    tokens: list[Token] = []
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise _wrong_sign(sql, position)
        span = Span(position, match.end())
        position = match.end()
        match match.lastgroup:
            case "space":
                pass
            case "comment":
                position = _comment_end(sql, span)
            case "hint":
                reason, hint = "hints for the planner are not in the rule language", "Take /*+ … */ out"
                raise RuleError.at(sql, span, "rule-unsupported", reason, hint)
            case kind:
                tokens.append(_READERS[str(kind)](sql, match[0], span))
    tokens.append(Token(Kind.END, "", Span(len(sql), len(sql))))
    return tokens


def _comment_end(sql: str, start: Span) -> int:
    end = sql.find("*/", start.end)
    if end < 0:
        raise RuleError.at(sql, start, "rule-syntax", "the comment does not end", "Close it with */")
    return end + 2


def _quoted(sql: str, text: str, span: Span) -> Token:
    name = text[1:-1].replace("``", "`")
    if not name:
        raise RuleError.at(sql, span, "rule-syntax", "the name is empty", "Write the name between the back quotes")
    return Token(Kind.QUOTED, name, span)


def _number(sql: str, text: str, span: Span) -> Token:
    after = sql[span.end : span.end + 1]
    if after.isalnum() or after in ("_", "."):
        reason = "a number is followed by something else without a space"
        hint = "Write numbers as 12, 1.5 or 1.5e3, and names with a digit first in back quotes"
        raise RuleError.at(sql, Span(span.start, span.end + 1), "rule-syntax", reason, hint)
    return Token(Kind.NUMBER, text, span)


def _word(sql: str, text: str, span: Span) -> Token:
    if sql.startswith("'", span.end):
        hint = "Put a space between them, or write a plain string"
        raise RuleError.at(sql, span, "rule-syntax", "strings have no prefix in the rule language", hint)
    return Token(Kind.WORD, text, span, text.upper())


_READERS: dict[str, Callable[[str, str, Span], Token]] = {
    "string": lambda _, text, span: Token(Kind.STRING, text[1:-1].replace("''", "'"), span),
    "quoted": _quoted,
    "number": _number,
    "word": _word,
    "sign": lambda _, text, span: Token(Kind.SIGN, text, span, text),
}


def _wrong_sign(sql: str, position: int) -> RuleError:
    sign = sql[position]
    unknown = (f"{sign!r} is not of the language", "Take it out, or put it into a string")
    reason, hint = _WRONG_SIGNS.get(sign, unknown)
    if sign == "!" and sql.startswith("!=", position):
        reason, hint = "Flink SQL has no !=", "Write <>"
    return RuleError.at(sql, Span(position, position + 1), "rule-syntax", reason, hint)
