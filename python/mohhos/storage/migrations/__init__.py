"""The schema of the registry as versioned SQL files: `NNNN_what.sql`, applied in the order of their numbers.

`PRAGMA user_version` is the number of the last file that was applied. A file is never edited after its release.
"""

import sqlite3
from importlib import resources

from mohhos.errors import MohhosError

__all__ = ["latest", "migrate"]


def _files() -> list[tuple[int, str, str]]:
    """Number, name and text of every migration, in order."""
    found = [
        (int(each.name.partition("_")[0]), each.name, each.read_text(encoding="utf-8"))
        for each in resources.files(__name__).iterdir()
        if each.name.endswith(".sql")
    ]
    return sorted(found)


def latest() -> int:
    """The version of the schema that this program writes."""
    return _files()[-1][0]


def migrate(connection: sqlite3.Connection) -> int:
    """Brings the database to the latest version; returns the version before. Each file is one transaction.

    Raises MohhosError data-dir-newer if the database is of a later version.
    """
    before = int(connection.execute("PRAGMA user_version").fetchone()[0])
    files = _files()
    newest = files[-1][0]
    if before > newest:
        raise MohhosError(
            "data-dir-newer",
            f"The registry database has version {before}",
            f"this program knows versions up to {newest}, and would damage what it does not know",
            "Start the version that wrote it, or restore a backup that was made before the upgrade",
        )
    for number, _, text in files:
        if number > before:
            # executescript commits what is open before it starts, so the transaction is part of the script.
            try:
                connection.executescript(f"BEGIN IMMEDIATE;\n{text}\nPRAGMA user_version = {number};\nCOMMIT;")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    return before
