"""A client of the REST API: paths below /api/v1, lists page by page, problems as exceptions."""

import json as json_module
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

import httpx

from mohhos.client.errors import ApiError

__all__ = ["ApiClient"]

PAGE: Final = 1_000


class ApiClient:
    """Speaks to one gateway as one operator. Every method raises ApiError."""

    def __init__(self, url: str, token: str, timeout_s: float = 60) -> None:
        self._url = url
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=timeout_s
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def request(self, method: str, path: str, json: Any = None, **parameters: Any) -> Any:
        """One request; the parsed answer, or None when it has no body. Parameters that are None are left out."""
        query = {name.rstrip("_"): value for name, value in parameters.items() if value is not None}
        try:
            answer = self._http.request(method, path, json=json, params=query)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if answer.is_error:
            raise _problem(answer)
        return answer.json() if answer.content else None

    def items(self, path: str, limit: int | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The items of a list, page by page, at most `limit` of them."""
        cursor = None
        left = limit
        while left is None or left > 0:
            size = PAGE if left is None else min(PAGE, left)
            page = self.request("GET", path, limit=size, cursor=cursor, **parameters)
            yield from page["items"]
            left = None if left is None else left - len(page["items"])
            cursor = page["next"]
            if cursor is None:
                return

    def download(self, method: str, path: str) -> Iterator[tuple[bytes, int]]:
        """The body of an answer, chunk by chunk, each with the total length (0 if that is not known)."""
        try:
            with self._http.stream(method, path, timeout=None) as answer:
                if answer.is_error:
                    answer.read()
                    raise _problem(answer)
                total = int(answer.headers.get("Content-Length", 0))
                for chunk in answer.iter_bytes(1 << 20):
                    yield chunk, total
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def events(self, path: str, **parameters: Any) -> Iterator[tuple[str, Any]]:
        """Server-sent events until the stream ends: kind and data."""
        try:
            with self._http.stream("GET", path, params=parameters, timeout=httpx.Timeout(60)) as answer:
                if answer.is_error:
                    answer.read()
                    raise _problem(answer)
                kind = "message"
                for line in answer.iter_lines():
                    name, _, value = line.partition(": ")
                    if name == "event":
                        kind = value
                    elif name == "data":
                        yield kind, json_module.loads(value)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> ApiError:
        return ApiError(
            0,
            "gateway-unreachable",
            f"No gateway answers at {self._url}: {error}",
            "Start it with: mohhos up; or say where it is with --url",
            {},
        )


def _problem(answer: httpx.Response) -> ApiError:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    return ApiError(
        answer.status_code,
        body.get("code", "unknown"),
        body.get("detail", f"The answer was {answer.status_code} {answer.reason_phrase}"),
        body.get("next_step", "Is there really a gateway at this address?"),
        body,
    )
