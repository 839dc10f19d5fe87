"""The audit: who did what to whom, when and why.

Functions of a connection, so that an entry is in the transaction of what it tells of.
"""

import json
import sqlite3
from typing import Any, Final

from mohhos.model import AuditEntry, Page
from mohhos.storage import cursors

__all__ = ["add", "page"]

KEPT: Final = 200_000
"""So many entries are kept, the newest."""


def add(
    connection: sqlite3.Connection,
    at_us: int,
    operator: str,
    action: str,
    subject: str,
    reason: str = "",
    **detail: Any,
) -> None:
    """Adds an entry. `action` is a word such as "device.quarantine"; `detail` what else is worth knowing."""
    text = json.dumps(detail, sort_keys=True, ensure_ascii=False)
    added = connection.execute(
        "INSERT INTO audit (at_us, operator, action, subject, reason, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (at_us, operator, action, subject, reason, text),
    )
    assert added.lastrowid is not None
    connection.execute("DELETE FROM audit WHERE seq <= ?", (added.lastrowid - KEPT,))


def _entry(seq: int, at_us: int, operator: str, action: str, subject: str, reason: str, detail: str) -> AuditEntry:
    return AuditEntry(seq, at_us, operator, action, subject, reason, json.loads(detail))


def page(
    connection: sqlite3.Connection, subject: str | None = None, cursor: str | None = None, limit: int = 100
) -> Page[AuditEntry]:
    """One page, the newest first; of one subject, if it is named. Raises MohhosError cursor-invalid."""
    clauses: list[str] = []
    values: list[str | int] = []
    if subject is not None:
        clauses.append("subject = ?")
        values.append(subject)
    if cursor is not None:
        clauses.append("seq < ?")
        values.append(cursors.decode(cursor, int)[0])
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    limit = cursors.page_size(limit)
    rows = connection.execute(
        f"SELECT seq, at_us, operator, action, subject, reason, detail FROM audit {where} ORDER BY seq DESC LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    items = [_entry(*row) for row in rows[:limit]]
    return Page(items, cursors.encode(items[-1].seq) if len(rows) > limit else None)
