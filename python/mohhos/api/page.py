"""The page: static files out of the package, found by name, with an ETag."""

import hashlib
import importlib.resources
import mimetypes
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import FastAPI, Request, Response

__all__ = ["install"]

mimetypes.add_type("text/javascript", ".mjs")
_ROOT: Final = "ui"


def _files(folder: Traversable, prefix: str = "") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found.update(_files(entry, f"{prefix}{entry.name}/"))
        elif not entry.name.endswith((".py", ".pyc")):
            found[prefix + entry.name] = entry.read_bytes()
    return found


def install(app: FastAPI) -> None:
    """Serves the page at / and its files below /ui/; they are read once."""
    files = _files(importlib.resources.files("mohhos").joinpath(_ROOT))
    tags = {name: f'"{hashlib.sha256(content).hexdigest()[:32]}"' for name, content in files.items()}

    def answer(name: str, request: Request) -> Response:
        headers = {"ETag": tags[name], "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tags[name]:
            return Response(status_code=304, headers=headers)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(files[name], headers=headers, media_type=kind)

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return answer("index.html", request)

    @app.get("/ui/{name:path}", include_in_schema=False)
    async def file(name: str, request: Request) -> Response:
        if name not in files:
            return Response("There is no such file.\n", 404, media_type="text/plain")
        return answer(name, request)
