"""Who may do what: scopes, the roles made of them, and what each route needs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, get_args

from fastapi import HTTPException, Request
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

Scope = Literal["read", "infer", "audit", "train", "admin"]

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

#: What each role may do.
ROLES: Final[dict[str, frozenset[Scope]]] = {
    "viewer": frozenset({"read", "infer"}),
    "auditor": frozenset({"read", "infer", "audit"}),
    "trainer": frozenset({"read", "infer", "audit", "train"}),
    "admin": frozenset(SCOPES),
}

#: Paths that need no key. Everything else does, whether it exists or not.
OPEN: Final = frozenset(
    {"/health/live", "/health/ready", "/health/startup", "/v2/health/live", "/v2/health/ready"}
    | {"/docs", "/openapi.json"}
)


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        id: Public part of the key, or ``issuer|subject`` of a token, or ``open``.
        name: For people: the key's name, or the token's.
        scopes: What they may do.
    """

    id: str
    name: str
    scopes: frozenset[Scope]


#: Who asks for what is open to everybody.
NOBODY: Final = Principal("", "nobody", frozenset())

#: Who asks an open service.
ANYBODY: Final = Principal("open", "somebody at this machine", frozenset(SCOPES))


def asking(request: Request) -> Principal:
    """Who sent a request; the guard has put them there."""
    principal: Principal = request.state.principal
    return principal


@dataclass(frozen=True)
class Needs:
    """A dependency that refuses whoever lacks a scope."""

    scope: Scope

    async def __call__(self, request: Request) -> Principal:
        """Who asks.

        Raises:
            HTTPException: 403, they may not.
        """
        principal = asking(request)
        self.check(principal)
        return principal

    def check(self, principal: Principal) -> None:
        """Refuse a principal without the scope.

        Raises:
            HTTPException: 403, they may not.
        """
        if self.scope not in principal.scopes:
            raise HTTPException(403, f"'{principal.name}' may not do this: {self.needed}")

    @property
    def needed(self) -> str:
        """What is needed, for messages."""
        roles = [role for role, scopes in ROLES.items() if self.scope in scopes]
        return f"it needs the scope '{self.scope}', which the role {' or '.join(roles)} has."


def needs(scope: Scope) -> Dependency:
    """What a route declares: the scope that a request to it needs."""
    return Dependency(Needs(scope))


def scopes_of(route: BaseRoute) -> frozenset[Scope]:
    """Every scope that a route needs, its router's included."""
    declared = (each.dependency for each in getattr(route, "dependencies", ()))
    return frozenset(each.scope for each in declared if isinstance(each, Needs))


def check_declared(routes: Iterable[BaseRoute]) -> None:
    """Refuse an app with a route that says nothing of who may use it.

    Args:
        routes: Those of the routers; an app hides them behind the routers it includes.

    Raises:
        RuntimeError: Some route has no scope and is not open; all are named.
    """
    paths = ((getattr(route, "path", str(route)), scopes_of(route)) for route in routes)
    bare = [path for path, scopes in paths if path not in OPEN and not scopes]
    if bare:
        raise RuntimeError(f"no scope is declared for {', '.join(sorted(set(bare)))}")


class Doors:
    """What a request will need, told from its method and path alone.

    The routes ask for their scopes themselves, but only after the body of a request was read.
    With this, who may not use a route is refused before they have sent it 20 GB.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        """Take note of the routes that take a body."""
        self._doors = [
            (methods, route.path_regex, sorted(scopes_of(route)))
            for route in routes
            if isinstance(route, APIRoute)
            and (methods := (route.methods or set()) - {"GET", "HEAD"})
        ]

    def check(self, method: str, path: str, principal: Principal) -> None:
        """Let pass, or not.

        Raises:
            HTTPException: 403, the route needs a scope that they lack.
        """
        for methods, form, scopes in self._doors:
            if method in methods and form.match(path):
                for scope in scopes:
                    Needs(scope).check(principal)
                return
