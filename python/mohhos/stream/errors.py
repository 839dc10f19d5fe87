"""What is wrong with a rule's text, where, and what to write instead."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from mohhos.errors import MohhosError

__all__ = ["RuleError", "Span", "nearest"]

_LONGEST_TEXT = 120


@dataclass(frozen=True, slots=True)
class Span:
    """Which characters of the text: `[start, end)`."""

    start: int
    end: int

    def to(self, other: "Span") -> "Span":
        """From the beginning of this one to the end of the other."""
        return Span(self.start, other.end)


class RuleError(MohhosError):
    """A rule or a table was refused; what ran before goes on.

    `line` and `column` count from 1 (both 0 when no place in the text is to blame), `text` is the offending piece of
    the text, `reason` says what is wrong with it and `hint` what to write instead.
    """

    def __init__(self, code: str, reason: str, hint: str, *, line: int = 0, column: int = 0, text: str = "") -> None:
        super().__init__(code, "The rule was refused", reason, hint, line=line, column=column, text=text, hint=hint)
        self.reason = reason
        self.hint = hint
        self.line = line
        self.column = column
        self.text = text

    @classmethod
    def at(cls, sql: str, span: Span, code: str, reason: str, hint: str) -> "RuleError":
        """The error about a piece of `sql`."""
        start = min(span.start, len(sql))
        line = sql.count("\n", 0, start) + 1
        column = start - (sql.rfind("\n", 0, start) + 1) + 1
        text = sql[start : span.end]
        if len(text) > _LONGEST_TEXT:
            text = text[:_LONGEST_TEXT] + "…"
        return cls(code, reason, hint, line=line, column=column, text=text)

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        near = f" (at {self.text!r})" if self.text else ""
        end = "" if self.hint.endswith(("?", "…")) else "."
        return f"{place}{self.reason}{near}. {self.hint}{end} [{self.code}]"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None."""
    names = list(known)
    lowered = {n.lower(): n for n in names}
    found = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[found[0]] if found else None
