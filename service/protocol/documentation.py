"""The routes as a page that needs nothing from anywhere: a hospital may have no internet."""

import base64
from collections.abc import Iterable
from hashlib import sha256
from html import escape
from typing import Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from service.security.access import ROLES, SCOPES, scopes_of

STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;"
    "border-bottom:1px solid #ccc}td code{white-space:nowrap}"
    # narrow: what a route needs and does stands below it
    "@media(max-width:45rem){tr:first-child{display:none}td{display:block;border:0;padding:0}"
    "tr{display:block;padding:.5rem 0;border-bottom:1px solid #ccc}"
    "td code{white-space:normal;overflow-wrap:anywhere;font-weight:600}"
    "td:nth-child(2)::before{content:attr(title)}}"
    "@media(prefers-color-scheme:dark){body{background:#181a1b;color:#e8e6e3}a{color:#8ab4f8}}"
)

#: The page has this style and nothing else that a browser would load or run.
POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(sha256(STYLE.encode()).digest()).decode()
    + "'"
)


def install_documentation(app: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """Add ``/docs``, which lists what there is."""
    shown = [route for route in routes if isinstance(route, APIRoute)]
    page = _page(app.title, [route for route in shown if route.include_in_schema])
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}

    @app.get("/docs", include_in_schema=False)
    async def documentation() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)


def _page(title: str, routes: list[APIRoute]) -> str:
    rows = "".join(_row(route) for route in routes)
    roles = "".join(
        f"<tr><td>{role}<td title='may: '>{', '.join(s for s in SCOPES if s in scopes)}</tr>"
        for role, scopes in ROLES.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{STYLE}</style><h1>{escape(title)}</h1>"
        '<p>The whole description, for tools: <a href="/openapi.json">openapi.json</a>.</p>'
        "<h2>Routes</h2><table><tr><th>Request<th>Needs<th>What it does</tr>"
        f"{rows}</table><h2>Roles</h2>"
        f"<table><tr><th>Role<th>Scopes</tr>{roles}</table></html>"
    )


def _row(route: APIRoute) -> str:
    does = (route.description or route.summary or route.name).strip()
    said = " ".join(does.partition("\n\n")[0].split())
    needed = ", ".join(s for s in SCOPES if s in scopes_of(route)) or "nothing"
    methods = " ".join(sorted(route.methods or ()))
    return (
        f"<tr><td><code>{methods} {escape(route.path)}</code><td title='needs: '>{needed}"
        f"<td>{_coded(said)}</tr>"
    )


def _coded(text: str) -> str:
    """HTML of a text with code in double backticks."""
    parts = escape(text).split("``")
    return "".join(f"<code>{each}</code>" if k % 2 else each for k, each in enumerate(parts))
