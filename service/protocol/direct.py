"""A short way to the routes that are asked most, beside the one that reads parameters."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from service.security.access import Needs, asking, scopes_of

#: Paths that have the short way, with the route of each and what it is called with beside the
#: request and the parts.
SHORT: Final[Mapping[str, tuple[str, dict[str, str]]]] = {
    "/v1/embeddings": ("/v1/embeddings", {}),
    "/v1/predictions": ("/v1/predictions", {}),
    "/v2/models/evenscan/infer": ("/v2/models/{name}/infer", {"name": "evenscan"}),
}


class Direct(BaseRoute):
    """Takes POST to some paths, without a query, to the functions of their routes.

    Most of what the framework does with a request is to find its route and to read parameters.
    A request without a query has none: what is left is a look into a dictionary. All others,
    and all mistakes, go the long way. Both call the same function with the same scopes asked.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        """Take the short ways to those of an app's routes that have one."""
        posts = {
            route.path: route
            for route in routes
            if isinstance(route, APIRoute) and "POST" in (route.methods or ())
        }
        self._ways = {
            path: _Way(posts[template], given)
            for path, (template, given) in SHORT.items()
            if template in posts
        }

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is one of them."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["query_string"]:
            return Match.NONE, {}
        way = self._ways.get(scope["path"])
        if way is None:
            return Match.NONE, {}
        found = {"endpoint": way.answer, "route": way.route, "path_params": way.given}
        return Match.FULL, found

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it; errors are the app's to tell."""
        way = self._ways[scope["path"]]
        request = Request(scope, receive, send)
        principal = asking(request)
        for need in way.needs:
            need.check(principal)
        response = await way.answer(
            request=request, parts=scope["app"].state.services, **way.given
        )
        await response(scope, receive, send)


class _Way:
    """What is called for a path.

    Attributes:
        route: As the app declares it.
        given: Parameters of its path.
        needs: What who asks must be allowed.
        answer: The function of the route.
    """

    def __init__(self, route: APIRoute, given: dict[str, str]) -> None:
        self.route, self.given = route, given
        self.needs = [Needs(scope) for scope in sorted(scopes_of(route))]
        self.answer: Callable[..., Awaitable[Response]] = route.endpoint
