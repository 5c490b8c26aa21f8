"""The end of tasks."""

from __future__ import annotations

import asyncio
from typing import Any


async def cancel_all(*tasks: asyncio.Task[Any]) -> None:
    """Cancel *tasks* until they have ended.

    Once may not be enough: asyncio.timeout(0), as redis-py has it, can swallow a cancellation, and who then waits for
    a task that goes on for ever waits for ever.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=0.05)
