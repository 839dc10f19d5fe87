"""Rules and the tables that they read."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from mohhos.api.auth import Operate, Read
from mohhos.api.problems import responses
from mohhos.api.services import ServicesOf
from mohhos.api.views import rule_view

router = APIRouter(tags=["rules"])
MAX_SQL = 100_000


class RuleBody(BaseModel):
    """A rule's text: CREATE TABLE statements, if any, and one INSERT INTO."""

    model_config = ConfigDict(extra="forbid")
    sql: str = Field(max_length=MAX_SQL)


class CheckBody(BaseModel):
    """A text to check; `name` says which rule it would replace."""

    model_config = ConfigDict(extra="forbid")
    sql: str = Field(max_length=MAX_SQL)
    name: str = "check"


@router.get("/rules", responses=responses(401, 403))
async def list_rules(services: ServicesOf, _: Read) -> dict[str, Any]:
    """All rules with their text and how they run."""
    return {"items": [rule_view(r) for r in await services.rules.list()], "next": None}


@router.post("/rules/check", responses=responses(401, 403, 422))
async def check(body: CheckBody, services: ServicesOf, _: Read) -> dict[str, Any]:
    """Checks a text without changing anything; what is wrong comes with line, column and hint."""
    return {"ok": True, **await services.rules.check(body.name, body.sql)}


@router.get("/rules/{name}", responses=responses(401, 403, 404))
async def show(name: str, services: ServicesOf, _: Read, response: Response) -> dict[str, Any]:
    """One rule."""
    rule = await services.rules.get(name)
    response.headers["ETag"] = f'"{rule.version}"'
    return rule_view(rule)


@router.put("/rules/{name}", responses=responses(401, 403, 422))
async def put(name: str, body: RuleBody, services: ServicesOf, _: Operate) -> dict[str, Any]:
    """Deploys a rule or a new version of it; if anything is wrong, the version before goes on."""
    return rule_view(await services.rules.put(name, body.sql))


@router.delete("/rules/{name}", status_code=204, responses=responses(401, 403, 404))
async def delete(name: str, services: ServicesOf, _: Operate) -> None:
    """Stops and removes a rule."""
    await services.rules.delete(name)


@router.get("/tables", responses=responses(401, 403))
async def tables(services: ServicesOf, _: Read) -> dict[str, Any]:
    """All tables that a rule can name: the built-in ones, then the declared ones."""
    return {
        "items": [
            {
                "name": table.name,
                "topic": table.filter,
                "columns": [{"name": c.name, "type": c.type.sql} for c in table.columns],
                "read": table.watermark is not None,
                "insert": table.sink is not None,
            }
            for table in await services.rules.tables()
        ],
        "next": None,
    }
