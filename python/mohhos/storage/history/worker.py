"""The query process: DuckDB, apart from the gateway, so that a heavy query costs the gateway neither memory nor life.

Started as `python -m mohhos.storage.history.worker SETTINGS` with SETTINGS in JSON: `directory` (the only one that may
be read), `temp` (where DuckDB spills), `memory` (bytes). Talks as `framing` says over its standard input and output,
and ends when its input does.
"""

import json
import os
import queue
import resource
import signal
import sys
import threading
from datetime import date, datetime, time
from typing import Any, BinaryIO, Final

import duckdb

from mohhos.storage.history import framing
from mohhos.storage.history.statements import telemetry_view

PAGE_ROWS: Final = 2_000
"""Rows per message."""

MAX_REPLY: Final = 128 << 20
"""Bytes of all the rows of one answer."""

NICENESS: Final = 14
"""The gateway's own threads go first."""

OVERHEAD: Final = 512 << 20
"""What the process may map beyond DuckDB's own bound: the program, values on their way to the gateway, and what an
allocator keeps of memory that was given back (a third of what it maps, after queries that spill)."""

OUT_OF_MEMORY: Final = 3
"""The exit code where the system gives no more memory."""


class RefusedError(Exception):
    """A query that is not run, with the reason for the person who asked."""


def connect(directory: str, temp: str, memory: int) -> duckdb.DuckDBPyConnection:
    """A database in memory whose statements reach no file outside `directory`, no network and no setting."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET threads = 1")
    connection.execute(f"SET memory_limit = '{int(memory)}B'")
    connection.execute("SET temp_directory = ?", [temp])
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET autoload_known_extensions = false")
    connection.execute("SET allowed_directories = ?", [[directory]])
    for kind in ("device", "metric"):
        connection.execute(f"CREATE TABLE {kind}_names(code INTEGER, name VARCHAR)")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def replace_names(connection: duckdb.DuckDBPyConnection, kind: str, pairs: list[list[Any]]) -> None:
    """Makes these the names of the codes."""
    codes, names = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    connection.execute(f"TRUNCATE {kind}_names")
    connection.execute(
        f"INSERT INTO {kind}_names SELECT unnest(?::INTEGER[]), unnest(?::VARCHAR[])",
        [codes, names],
    )


def checked(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The text, if it is one SELECT: everything else could write or change settings."""
    statements = connection.extract_statements(sql)
    if len(statements) != 1:
        raise RefusedError(f"there are {len(statements)} statements; write exactly one SELECT")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise RefusedError("only SELECT is allowed here")
    return sql


def plain(value: Any) -> Any:
    """The value as JSON has it; times in ISO 8601, all else that JSON lacks as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return str(value)


def answer(output: BinaryIO, connection: duckdb.DuckDBPyConnection, sql: str, limit: int) -> None:
    """Runs a query and writes its rows, `limit` of them at most."""
    connection.execute(sql)
    framing.write(output, {"columns": [column[0] for column in connection.description or []]})
    left, size = limit, 0
    while rows := connection.fetchmany(min(PAGE_ROWS, left + 1)):
        message = framing.encode({"rows": [[plain(value) for value in row] for row in rows[:left]]})
        size += len(message)
        if max(size, len(message)) > MAX_REPLY or len(message) > framing.MAX_MESSAGE:
            raise RefusedError(f"the answer is larger than {MAX_REPLY >> 20} MiB; ask for fewer rows or columns")
        output.write(message)
        if len(rows) > left:
            break
        left -= len(rows)
    framing.write(output, {"end": True, "truncated": len(rows) > left})


def serve(output: BinaryIO, connection: duckdb.DuckDBPyConnection, message: framing.Message) -> None:
    """Does what one request says."""
    if message["op"] == "codes":
        replace_names(connection, "device", message["devices"])
        replace_names(connection, "metric", message["metrics"])
        return
    try:
        sql = message["sql"]
        if message["op"] == "ask":
            connection.execute(telemetry_view(message["files"]))
            sql = checked(connection, sql)
        answer(output, connection, sql, message["limit"])
    except duckdb.OutOfMemoryException as error:
        if "bad allocation" in str(error):
            # Not DuckDB's bound, which a query meets again: memory is in pieces. A new process has it whole.
            os._exit(OUT_OF_MEMORY)
        framing.write(output, {"error": str(error)})
    except (duckdb.Error, RefusedError, OverflowError) as error:
        framing.write(output, {"error": str(error)})
    except MemoryError:
        framing.write(output, {"error": "the answer needs more memory than the query process may have"})


def main() -> None:
    """Serves requests until the gateway is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = json.loads(sys.argv[1])
    os.nice(NICENESS)
    if settings["idle"]:
        # Beside such a process a thread of the gateway runs as soon as it is woken, on any core.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    most = settings["memory"] + OVERHEAD
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    requests: queue.SimpleQueue[framing.Message] = queue.SimpleQueue()

    def listen() -> None:
        while (message := framing.read(sys.stdin.buffer)) is not None:
            requests.put(message)
        # Also in the middle of a query: nobody waits for it any more.
        os._exit(0)

    connection = connect(settings["directory"], settings["temp"], settings["memory"])
    threading.Thread(target=listen, daemon=True).start()
    while True:
        serve(sys.stdout.buffer, connection, requests.get())


if __name__ == "__main__":
    main()
