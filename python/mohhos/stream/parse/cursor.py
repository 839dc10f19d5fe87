"""Walking over the tokens of a text."""

from typing import NoReturn

from mohhos.stream.dialect import Kind, Token, tokenize
from mohhos.stream.errors import RuleError, Span
from mohhos.stream.reserved import RESERVED
from mohhos.stream.syntax import Ident

__all__ = ["MAX_DEPTH", "NESTED", "Cursor"]

MAX_DEPTH = 150
"""How deeply a text may be nested: parentheses, functions and queries count `NESTED`, operators in a chain 1."""

NESTED = 5


class Cursor:
    """The tokens and the place among them; `token` is the next one. Everything here raises RuleError."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self._tokens = tokenize(sql)
        self._index = 0
        self._depth = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._index]

    @property
    def last(self) -> Span:
        """Where the token before stands."""
        return self._tokens[max(self._index - 1, 0)].span

    def ahead(self, distance: int = 1) -> Token:
        """The token that many places after the next one."""
        return self._tokens[min(self._index + distance, len(self._tokens) - 1)]

    def take(self) -> Token:
        """The next token; goes on."""
        token = self.token
        if token.kind is not Kind.END:
            self._index += 1
        return token

    def at_end(self) -> bool:
        """Is nothing left?"""
        return self.token.kind is Kind.END

    def sees(self, *words: str) -> bool:
        """Do these words or signs come next?"""
        if self._tokens[self._index].key != words[0]:
            return False
        return all(self.ahead(n).key == word for n, word in enumerate(words))

    def accept(self, *words: str) -> bool:
        """Goes over these words or signs if they come next."""
        if not self.sees(*words):
            return False
        self._index += len(words)
        return True

    def accept_any(self, *words: str) -> str | None:
        """Goes over the next token if it is one of these words or signs, and tells which."""
        key = self._tokens[self._index].key
        if key not in words:
            return None
        self._index += 1
        return key

    def expect(self, word: str, where: str) -> Token:
        """Goes over this word or sign, which must come next."""
        if self.token.key != word:
            self.unexpected(f"{word} is expected {where}")
        return self.take()

    def since(self, start: Span) -> Span:
        """From `start` to the token before."""
        return start.to(self.last)

    def ident(self, what: str) -> Ident:
        """A name; `what` it names is said in the error."""
        token = self.token
        if token.kind is Kind.QUOTED:
            return Ident(self.take().span, token.text)
        if token.kind is not Kind.WORD:
            self.unexpected(f"{what} is expected")
        if token.word in RESERVED:
            reason = f"{what} is expected, and {token.text} is a word that Flink SQL keeps for itself"
            self.fail(token.span, "rule-reserved", reason, f"If it is a name, write `{token.text}` in back quotes")
        return Ident(self.take().span, token.text)

    def sees_ident(self) -> bool:
        """Does a name come next?"""
        return self.token.kind is Kind.QUOTED or (self.token.kind is Kind.WORD and self.token.word not in RESERVED)

    def idents(self, what: str) -> tuple[Ident, ...]:
        """Names in parentheses, if an opening one comes next."""
        if not self.accept("("):
            return ()
        names = [self.ident(what)]
        while self.accept(","):
            names.append(self.ident(what))
        self.expect(")", "after the names")
        return tuple(names)

    def string(self, what: str) -> Token:
        """A string."""
        if self.token.kind is not Kind.STRING:
            self.unexpected(f"{what} is expected as a 'string'")
        return self.take()

    def deeper(self, levels: int = NESTED) -> None:
        """Enters more levels of nesting."""
        self._depth += levels
        if self._depth > MAX_DEPTH:
            hint = "Write IN (…) for a long chain of OR, take parentheses out, or split it with WITH"
            self.fail(self.token.span, "rule-too-large", "the text is nested too deeply", hint)

    def shallower(self, levels: int = NESTED) -> None:
        """Leaves as many levels of nesting."""
        self._depth -= levels

    def unexpected(self, expected: str) -> NoReturn:
        """Refuses the next token."""
        token = self.token
        if token.kind is Kind.END:
            self.fail(token.span, "rule-syntax", f"{expected}, and the text ends", "Complete the text")
        if token.word in RESERVED:
            hint = f"If {token.text} is meant as a name, write `{token.text}`"
        else:
            hint = "Take it out or correct what stands before it"
        found = {Kind.WORD: "", Kind.SIGN: ""}.get(token.kind, f" {token.kind.value}")
        self.fail(
            token.span, "rule-syntax", f"{expected}, not{found} {self.sql[token.span.start : token.span.end]}", hint
        )

    def fail(self, span: Span, code: str, reason: str, hint: str) -> NoReturn:
        """Refuses a piece of the text."""
        raise RuleError.at(self.sql, span, code, reason, hint)

    def later(self, span: Span, what: str, hint: str) -> NoReturn:
        """Refuses what is Flink SQL and not supported yet."""
        self.fail(span, "rule-unsupported", f"{what} is not yet supported here", hint)
