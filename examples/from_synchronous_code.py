"""Send from a program without an event loop of its own, such as a Flask view or a Celery task.

One thread runs one loop with one client for the whole process. So connections are kept, and
`concurrency` holds for all threads together. A process that forks (Celery, gunicorn) makes its
client after the fork: on the first use here.
"""

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

from infobip_async import InfobipClient, NotSentError, OutcomeUnknownError, SendReceipt, TextMessage

T = TypeVar("T")


class Background:
    """An event loop in a thread, with a client that belongs to it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sms", daemon=True)
        self._thread.start()
        self.client = InfobipClient.from_env()

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run a coroutine in the loop, and wait for its result in the calling thread."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(timeout)
        except TimeoutError:
            future.cancel()  # a request that is under way is finished all the same
            raise

    def close(self) -> None:
        """Finish the requests that are under way, and end the thread."""
        self.run(self.client.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@cache
def background() -> Background:
    """The process's own, made on the first use."""
    return Background()


def send_code(number: str, code: str) -> SendReceipt:
    """What a view or a task calls: a plain function."""
    message = TextMessage(f"Your code is {code}", sender="Shop")
    return background().run(background().client.send(message, number), timeout=60)


def main() -> None:
    try:
        receipt = send_code("38598514674", "4711")
    except NotSentError:
        print("nothing was sent: a task may be retried")
    except OutcomeUnknownError as error:
        print("a retry could send the code twice; reports may come on", error.message_ids)
    else:
        print(f"{receipt.accepted} accepted")
    finally:
        background().close()
        background.cache_clear()


if __name__ == "__main__":
    main()
