"""The next batch is made by a thread: the same items, errors where they belong, no thread left."""

import threading

import pytest

from train.ahead import ahead


def running() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("ahead")]


def test_items_and_order_are_the_same() -> None:
    with ahead(iter(range(7))) as coming:
        assert list(coming) == list(range(7))
    with ahead(iter([])) as coming:
        assert list(coming) == []
    assert running() == []


def test_one_item_is_under_way_while_another_is_worked_on() -> None:
    made, second = [], threading.Event()

    def items():
        for k in range(4):
            made.append(k)
            if k == 1:
                second.set()
            yield k

    with ahead(items()) as coming:
        assert next(coming) == 0
        assert second.wait(30), "nothing was made ahead"
        assert made == [0, 1], "more than one was made ahead"
        assert list(coming) == [1, 2, 3]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_while_making_comes_up_where_the_item_is_taken(error: type[BaseException]) -> None:
    def items():
        yield 1
        raise error("planted")

    got = []
    with pytest.raises(error, match="planted"), ahead(items()) as coming:
        for item in coming:
            got.append(item)  # noqa: PERF402 - an error is to come between two items
    assert got == [1]
    assert running() == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_no_thread_is_left_when_the_work_is_interrupted(error: type[BaseException]) -> None:
    with pytest.raises(error), ahead(iter(range(9))) as coming:
        for item in coming:
            if item == 2:
                raise error
    assert running() == []
