"""Reads lists of any length, item by item."""

from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

from .answers import answer


def items(operation: ModuleType, **parameters: Any) -> Iterator[Any]:
    """Yields every item of a list, such as `items(list_jobs, client=client, rollout_id=rollout_id)`.

    `operation` is the module that was generated for the list. Pages are fetched as they are needed.
    """
    while True:
        page = answer(operation.sync_detailed(**parameters))
        yield from page.data
        if page.next_cursor is None:
            return
        parameters["cursor"] = page.next_cursor


async def items_async(operation: ModuleType, **parameters: Any) -> AsyncIterator[Any]:
    """Yields every item of a list like `items`, for programs that use asyncio."""
    while True:
        page = answer(await operation.asyncio_detailed(**parameters))
        for item in page.data:
            yield item
        if page.next_cursor is None:
            return
        parameters["cursor"] = page.next_cursor
