"""How a process of asyncio stops: on SIGTERM or Ctrl-C, in order."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from hub.alive import Heartbeat

Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def run_until_signal(work: Work, heartbeat: Heartbeat | None = None) -> None:
    """Run `work(stopping)` until it ends; a signal sets `stopping` and cancels what does not look at it."""

    async def main() -> None:
        stopping = asyncio.Event()
        task = asyncio.create_task(work(stopping))
        beating = asyncio.create_task(heartbeat.run()) if heartbeat else None

        def stop() -> None:
            stopping.set()
            asyncio.get_running_loop().call_later(2.0, task.cancel)

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        try:
            await task
        except asyncio.CancelledError:
            if not stopping.is_set():
                raise
        finally:
            if beating:
                beating.cancel()

    asyncio.run(main())
