"""Who may do what: browser sessions, operators' tokens, applications."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from mohhos.api.auth import COOKIE, Admin, Read
from mohhos.api.problems import responses
from mohhos.api.services import ServicesOf
from mohhos.api.times import iso
from mohhos.api.views import application_view, operator_view
from mohhos.errors import MohhosError
from mohhos.model import Session

router = APIRouter()


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SignInBody(_Body):
    """An operator's token."""

    token: str = Field(max_length=512)


class TokenBody(_Body):
    """A token to make: who gets it and what it allows."""

    name: str
    scope: str = Field(examples=["read", "operate", "admin"])


class ApplicationBody(_Body):
    """An application to let in; without a password a secret is generated."""

    name: str
    role: str
    password: str | None = None


def _session_view(session: Session) -> dict[str, Any]:
    return {
        "name": session.operator.name,
        "scope": session.operator.scope,
        "csrf": session.csrf,
        "expires": iso(session.expires_us),
    }


@router.post("/session", status_code=201, tags=["session"], responses=responses(401, 422))
async def sign_in(body: SignInBody, services: ServicesOf, response: Response) -> dict[str, Any]:
    """Begins a browser session: sets the cookie, and gives the CSRF token for requests that change something."""
    operator = await services.operators.authenticate(body.token)
    cookie, session = await services.sessions.start(operator)
    api = services.config().api
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=api.session_lifetime // 1_000_000,
        httponly=True,
        samesite="strict",
        secure=api.secure_cookie,
        path="/",
    )
    return _session_view(session)


@router.get("/session", tags=["session"])
async def session(request: Request, services: ServicesOf) -> dict[str, Any] | None:
    """The session of the cookie that was sent, null if there is none: being signed out is an answer, no failure."""
    try:
        return _session_view(await services.sessions.get(request.cookies.get(COOKIE, "")))
    except MohhosError as error:
        if error.code != "session-invalid":
            raise
        return None


@router.delete("/session", status_code=204, tags=["session"], responses=responses(401, 403))
async def sign_out(request: Request, services: ServicesOf, _: Read, response: Response) -> None:
    """Ends the browser session."""
    await services.sessions.end(request.cookies.get(COOKIE, ""))
    response.delete_cookie(COOKIE, path="/")


@router.get("/tokens", tags=["access"], responses=responses(401, 403))
async def list_tokens(services: ServicesOf, _: Admin) -> dict[str, Any]:
    """All operators' tokens, without the tokens themselves."""
    return {"items": [operator_view(o) for o in await services.operators.list()], "next": None}


@router.post("/tokens", status_code=201, tags=["access"], responses=responses(401, 403, 422))
async def create_token(body: TokenBody, services: ServicesOf, _: Admin) -> dict[str, Any]:
    """A new token; it is shown in this answer and never again."""
    operator, token = await services.operators.create(body.name, body.scope)
    return {**operator_view(operator), "token": token}


@router.delete("/tokens/{token_id}", status_code=204, tags=["access"], responses=responses(401, 403, 404))
async def revoke_token(token_id: str, services: ServicesOf, _: Admin) -> None:
    """Ends a token and the browser sessions begun with it."""
    await services.operators.revoke(token_id)


@router.get("/applications", tags=["access"], responses=responses(401, 403))
async def list_applications(services: ServicesOf, _: Admin) -> dict[str, Any]:
    """All applications."""
    return {"items": [application_view(a) for a in await services.applications.list()], "next": None}


@router.post("/applications", status_code=201, tags=["access"], responses=responses(401, 403, 404, 409, 422))
async def add_application(body: ApplicationBody, services: ServicesOf, _: Admin) -> dict[str, Any]:
    """Lets an application in over MQTT with a role; a generated `secret` is shown in this answer and never again."""
    application, secret = await services.applications.add(body.name, body.role, body.password)
    return {**application_view(application), **({"secret": secret} if secret else {})}


@router.delete("/applications/{name}", status_code=204, tags=["access"], responses=responses(401, 403, 404))
async def remove_application(name: str, services: ServicesOf, _: Admin) -> None:
    """Removes an application and disconnects it."""
    await services.applications.remove(name)
