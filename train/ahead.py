"""The next item of an iterator, made by a thread while the current one is worked on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
_END = object()


@contextmanager
def ahead(items: Iterator[T]) -> Iterator[Iterator[T]]:
    """The same items in the same order; one more is always under way. What making it raises, raises here.

    One thread makes all items, one after the other. It has ended when the block has, however that ends: an
    interruption waits for the item under way.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:

        def taken() -> Iterator[T]:
            coming = thread.submit(next, items, _END)
            while (item := coming.result()) is not _END:
                coming = thread.submit(next, items, _END)
                yield item

        yield taken()
