"""Who asks: a bearer token, or the browser's cookie with its CSRF token for what changes something."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from mohhos.api.services import ServicesOf
from mohhos.errors import MohhosError
from mohhos.identity.operators import require
from mohhos.identity.sessions import check_csrf
from mohhos.model import Operator, Scope

__all__ = ["COOKIE", "Admin", "Operate", "Read"]

COOKIE: Final = "mohhos_session"
CSRF_HEADER: Final = "x-csrf-token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_bearer = HTTPBearer(auto_error=False, description="An operator's token")
_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="The page's session")


async def _operator(
    request: Request,
    services: ServicesOf,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    cookie: Annotated[str | None, Security(_cookie)],
) -> Operator:
    if bearer is not None:
        return await services.operators.authenticate(bearer.credentials)
    if cookie:
        session = await services.sessions.get(cookie)
        if request.method not in _SAFE:
            check_csrf(session, request.headers.get(CSRF_HEADER))
        return session.operator
    raise MohhosError(
        "token-invalid",
        "The request was not answered",
        "it names no operator",
        "Send Authorization: Bearer TOKEN; a token comes from: mohhos token create NAME",
    )


def _needs(scope: Scope) -> Callable[[Operator], Coroutine[Any, Any, Operator]]:
    async def check(operator: Annotated[Operator, Depends(_operator)]) -> Operator:
        require(operator, scope)
        return operator

    return check


Read = Annotated[Operator, Depends(_needs(Scope.READ))]
Operate = Annotated[Operator, Depends(_needs(Scope.OPERATE))]
Admin = Annotated[Operator, Depends(_needs(Scope.ADMIN))]
