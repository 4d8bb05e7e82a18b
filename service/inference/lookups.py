"""Which version an alias is now, without asking the database for every request."""

import asyncio

from service.models.registry import ModelRegistry
from service.storage.changes import Changes
from service.storage.tables import ModelVersion


class Lookups:
    """Asks the registry for versions; requests that meet share one answer.

    An answer counts for requests that came before the question was asked, for later ones only
    if nothing at all was committed since, so that after a promotion nobody gets the model from
    before it.
    """

    def __init__(self, registry: ModelRegistry) -> None:
        """Know nothing yet."""
        self._registry = registry
        self._changes = Changes(registry.database)
        self._mark: int | None = None
        self._known: dict[str, ModelVersion] = {}
        self._next: dict[str, asyncio.Task[ModelVersion]] = {}
        self._asking: dict[str, asyncio.Task[ModelVersion]] = {}

    async def get(self, name: str) -> ModelVersion:
        """The version of an alias, or of a number.

        Raises:
            InputError: There is none of this name.
        """
        mark = self._changes.mark()
        if mark is not None and mark == self._mark and name in self._known:
            return self._known[name]
        if name not in self._next:
            self._next[name] = asyncio.create_task(self._ask(name))
        return await asyncio.shield(self._next[name])

    async def _ask(self, name: str) -> ModelVersion:
        me = self._next[name]
        before = self._asking.get(name)
        if before is not None:
            await asyncio.wait([before])
        self._asking[name] = me
        self._next.pop(name)
        try:
            mark = self._changes.mark()
            version = await asyncio.to_thread(self._registry.get, name)
            if mark != self._mark:
                self._mark, self._known = mark, {}
            self._known[name] = version
            return version
        finally:
            if self._asking.get(name) is me:
                del self._asking[name]

    def close(self) -> None:
        """Stop watching the database."""
        self._changes.close()
