"""The rules of the gateway: put, replaced and removed while it runs.

What is stored runs, and what runs is stored: a new version is deployed first and stored then, and taken back if storing
fails; the version before runs until the new one does.
"""

import asyncio
import dataclasses
import json
import logging
import re
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub import native
from mohhos.hub.broadcast import Broadcast
from mohhos.model import Notice, Rule
from mohhos.storage.database import Database
from mohhos.stream import rows
from mohhos.stream.catalog import Catalog, Changes, engine_tables, read
from mohhos.stream.errors import RuleError
from mohhos.stream.parse import parse
from mohhos.stream.plan import Planned, plan_rule
from mohhos.stream.rows import RuleRow
from mohhos.stream.syntax import Script
from mohhos.stream.tables import BUILT_IN, Table

__all__ = ["Engine", "RuleRegistry"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)

R = TypeVar("R")

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """The part of the native gateway that runs rules."""

    def put_tables(self, tables: str) -> None:
        """Replaces the set of declared tables."""

    def deploy_rule(self, name: str, version: int, plan: str) -> None:
        """Starts or replaces a rule."""

    def remove_rule(self, name: str) -> bool:
        """Stops a rule."""

    def rules(self) -> list[dict[str, Any]]:
        """How each rule runs."""


class RuleRegistry:
    """All rules and declared tables. Belongs to one event loop."""

    def __init__(self, database: Database, clock: Clock, engine: Engine, broadcast: Broadcast) -> None:
        self._database = database
        self._clock = clock
        self._engine = engine
        self._broadcast = broadcast
        self._changing = asyncio.Lock()
        self._not_deployed: dict[str, str] = {}

    async def deploy_all(self) -> int:
        """Deploys what is stored, when the gateway starts; returns how many rules run.

        A rule that cannot be deployed is marked as failed, and the others go on.
        """
        async with self._changing:
            stored, catalog = await self._database.read(lambda c: (rows.load_rules(c), _catalog(c)))
            tables = catalog.tables()
            await native.call(self._engine.put_tables, engine_tables(tables.values()))
            self._not_deployed.clear()
            for rule in stored:
                try:
                    await self._deploy(rule, plan_rule(parse(rule.sql), tables, rule.name, rule.version))
                except MohhosError as error:
                    _log.error("rule %s does not run: %s", rule.name, error)
                    self._not_deployed[rule.name] = error.why
            return len(stored) - len(self._not_deployed)

    async def list(self) -> Sequence[Rule]:
        """All rules by name, and how they run."""
        stored = await self._database.read(rows.load_rules)
        running = {status["name"]: status for status in await native.call(self._engine.rules)}
        return [self._view(rule, running.get(rule.name)) for rule in stored]

    async def get(self, name: str) -> Rule:
        """The rule. Raises MohhosError rule-unknown."""
        for rule in await self.list():
            if rule.name == name:
                return rule
        raise _unknown(name)

    async def versions(self, name: str) -> Sequence[RuleRow]:
        """Every version of the rule that ever ran, the newest first. Raises MohhosError rule-unknown."""
        found = await self._database.read(lambda c: rows.versions(c, name))
        if not found:
            raise _unknown(name)
        return found

    async def check(self, name: str, sql: str) -> dict[str, Any]:
        """Would `put` take it? Changes nothing, and tells the tables it uses and what its author should know.

        Raises RuleError for what is wrong with the text; what only the engine can refuse is not found here.
        """
        _check_name(name)
        catalog = await self._database.read(_catalog)
        _, planned, _ = await asyncio.to_thread(_prepare, sql, catalog, name, 1)
        return {"tables": sorted(planned.tables), "warnings": list(planned.warnings)}

    async def put(self, name: str, sql: str) -> Rule:
        """Deploys a rule, or a new version of it; the same text again changes nothing.

        `sql` is one INSERT, with CREATE TABLE and CREATE VIEW statements before it as needed. Raises RuleError when
        the text or the engine's verdict is bad, and MohhosError when it cannot be stored: then the version before
        goes on.
        """
        _check_name(name)
        return await _to_the_end(self._put(name, sql))

    async def _put(self, name: str, sql: str) -> Rule:
        async with self._changing:
            before = await self._stored(name)
            if before is not None and before.sql == sql and name not in self._not_deployed:
                return await self.get(name)
            catalog, version = await self._database.read(lambda c: (_catalog(c), rows.next_version(c, name)))
            changes, _, _ = await asyncio.to_thread(_prepare, sql, catalog, name, version)
            changes = await self._with_ids(changes)
            tables = {**catalog.tables(), **{row.name: read(row) for row in changes.fresh}}
            planned = plan_rule(parse(sql), tables, name, version)
            now_us = self._clock.now_us()
            rule = RuleRow(name, version, sql, before.created_us if before else now_us, now_us)
            abandoned = [t for t in catalog.abandoned(name, changes.names) if t not in planned.tables]

            def save(connection: sqlite3.Connection) -> None:
                _replace_rule(connection, rule, planned.tables, changes, abandoned)

            await self._replace(catalog, changes, rule, planned, before, save)
            await self._put_tables(t for t in tables.values() if t.name not in abandoned)
        self._not_deployed.pop(name, None)
        self._broadcast.publish([Notice("rule", {"rule": name, "version": version, "state": "running"})])
        return await self.get(name)

    async def delete(self, name: str) -> None:
        """Stops and removes a rule, and the tables of its text that no other rule uses.

        Raises MohhosError rule-unknown.
        """
        await _to_the_end(self._delete(name))

    async def _delete(self, name: str) -> None:
        async with self._changing:
            if await self._stored(name) is None:
                raise _unknown(name)
            catalog = await self._database.read(_catalog)
            abandoned = catalog.abandoned(name, frozenset())

            def remove(connection: sqlite3.Connection) -> None:
                rows.delete_rule(connection, name)
                for table in abandoned:
                    rows.delete_table(connection, table)

            await self._database.write(remove)
            await native.call(self._engine.remove_rule, name)
            self._not_deployed.pop(name, None)
            await self._put_tables(t for t in catalog.tables().values() if t.name not in abandoned)
        self._broadcast.publish([Notice("rule", {"rule": name, "state": "removed"})])

    async def tables(self) -> Sequence[Table]:
        """All tables that a rule can name: the built-in ones, then the declared ones by name."""
        catalog = await self._database.read(_catalog)
        return [*BUILT_IN.values(), *catalog.tables().values()]

    async def put_tables(self, sql: str) -> Sequence[str]:
        """Declares the tables of a text of CREATE TABLE statements alone; returns their names.

        Raises RuleError; table-in-use when rules use a table that is declared otherwise.
        """
        script = parse(sql)
        if script.inserts or script.views or not script.tables:
            reason, hint = "only CREATE TABLE statements are expected here", "Put a rule for INSERT and CREATE VIEW"
            raise RuleError("rule-syntax", reason, hint)
        async with self._changing:
            catalog = await self._database.read(_catalog)
            changes = await self._with_ids(catalog.changes(script, None))
            now_us = self._clock.now_us()

            def save(connection: sqlite3.Connection) -> None:
                for row in changes.fresh:
                    rows.save_table(connection, row, now_us)
                for name in changes.kept:  # from now on it is there by itself
                    rows.save_table(connection, dataclasses.replace(catalog.rows[name], declared_by=None), now_us)

            await self._database.write(save)
            await self._put_tables({**catalog.tables(), **{r.name: read(r) for r in changes.fresh}}.values())
        return [create.name.name for create in script.tables]

    async def drop_table(self, name: str) -> None:
        """Removes a declared table. Raises MohhosError: table-unknown, table-in-use."""
        async with self._changing:
            catalog = await self._database.read(_catalog)
            if name not in catalog.rows:
                known = ", ".join(catalog.rows) or "none"
                raise MohhosError(
                    "table-unknown",
                    f"{name} cannot be dropped",
                    "no table of that name is declared",
                    f"There are {known}",
                )
            users = catalog.users(name)
            if users:
                hint = "Remove or change those rules first"
                raise RuleError("table-in-use", f"rules use the table {name}: {', '.join(users)}", hint)
            await self._database.write(lambda c: rows.delete_table(c, name))
            await self._put_tables(t for t in catalog.tables().values() if t.name != name)

    # ---- the parts of a change

    async def _stored(self, name: str) -> RuleRow | None:
        stored = await self._database.read(rows.load_rules)
        return next((rule for rule in stored if rule.name == name), None)

    async def _with_ids(self, changes: Changes) -> Changes:
        if not changes.fresh:
            return changes
        ids = await self._database.write(lambda c: rows.new_table_ids(c, len(changes.fresh)))
        fresh = tuple(dataclasses.replace(row, id=id_) for row, id_ in zip(changes.fresh, ids, strict=True))
        return Changes(fresh, changes.kept)

    async def _put_tables(self, tables: Iterable[Table]) -> None:
        await native.call(self._engine.put_tables, engine_tables(tables))

    async def _replace(
        self,
        catalog: Catalog,
        changes: Changes,
        rule: RuleRow,
        planned: Planned,
        before: RuleRow | None,
        save: Callable[[sqlite3.Connection], None],
    ) -> None:
        """Deploys the new version and stores it; takes everything back if one of the two fails."""
        old = list(catalog.tables().values())
        try:
            # old and new tables side by side: neither version misses a row while one takes over from the other
            await self._put_tables([*old, *(read(row) for row in changes.fresh)])
            await self._deploy(rule, planned)
            await self._database.write(save)
        except Exception:
            await self._restore(rule.name, before, catalog)
            raise

    async def _restore(self, name: str, before: RuleRow | None, catalog: Catalog) -> None:
        running = {status["name"]: status["version"] for status in await native.call(self._engine.rules)}
        if before is None or name in self._not_deployed:
            if name in running:
                await native.call(self._engine.remove_rule, name)
        elif running.get(name) != before.version:
            await self._deploy(before, plan_rule(parse(before.sql), catalog.tables(), name, before.version))
        await self._put_tables(catalog.tables().values())

    async def _deploy(self, rule: RuleRow, planned: Planned) -> None:
        try:
            await native.call(self._engine.deploy_rule, rule.name, rule.version, json.dumps(planned.plan))
        except MohhosError as error:
            if type(error.__cause__).__name__ != "PlanError":
                raise
            hint = "This is a mistake of the planner: please report the rule's text"
            raise RuleError("rule-engine", error.why, hint) from error

    def _view(self, rule: RuleRow, status: dict[str, Any] | None) -> Rule:
        stats = status or {}
        waiting = self._not_deployed.get(rule.name)
        return Rule(
            name=rule.name,
            version=rule.version,
            sql=rule.sql,
            state="failed" if status is None or waiting is not None else str(status["state"]),
            error=waiting if waiting is not None else str(stats.get("error") or ""),
            created_us=rule.created_us,
            updated_us=rule.updated_us,
            rows_in=int(stats.get("rows_in", 0)),
            rows_out=int(stats.get("rows_out", 0)),
            late=int(stats.get("late", 0)),
            state_bytes=int(stats.get("state_bytes", 0)),
            last_output_us=stats.get("last_output_us") or None,
        )


async def _to_the_end(change: Coroutine[Any, Any, R]) -> R:
    """Waits for a change, which goes on when the one who waits is cancelled: half a change must not be left behind."""
    return await asyncio.shield(asyncio.ensure_future(change))


def _prepare(sql: str, catalog: Catalog, name: str, version: int) -> tuple[Changes, Planned, Script]:
    """Everything about a text that can be wrong, found before anything is changed. Raises RuleError."""
    script = parse(sql)
    changes = catalog.changes(script, name)
    tables = {**catalog.tables(), **{row.name: read(row) for row in changes.fresh}}
    return changes, plan_rule(script, tables, name, version), script


def _replace_rule(
    connection: sqlite3.Connection, rule: RuleRow, tables: frozenset[str], changes: Changes, abandoned: list[str]
) -> None:
    rows.save_rule(connection, rule)
    for row in changes.fresh:
        rows.save_table(connection, row, rule.updated_us)
    rows.use_tables(connection, rule.name, tables)
    for table in abandoned:
        rows.delete_table(connection, table)


def _catalog(connection: sqlite3.Connection) -> Catalog:
    return Catalog(rows.load_tables(connection), rows.users(connection))


def _unknown(name: str) -> MohhosError:
    return MohhosError(
        "rule-unknown", f"{name} cannot be used", "there is no rule of that name", "List them: mohhos rules ls"
    )


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        hint = "Use letters, digits, - and _, a letter or digit first, at most 64: pump-overheats"
        raise RuleError("rule-name", f"{name[:100]!r} cannot be the name of a rule, which is part of a topic", hint)
