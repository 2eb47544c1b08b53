"""Tests that threads of the bench get processors of their own, and their former ones back."""

from __future__ import annotations

import os
import threading

from bench.machine import threads_apart


def test_the_callers_thread_is_apart_from_all_others_and_they_get_back_what_they_had() -> None:
    """On a machine with two processors or more, as every machine of the project has."""
    allowed = os.sched_getaffinity(0)
    assert len(allowed) >= 2
    go = threading.Event()
    other = threading.Thread(target=lambda: go.wait(30))
    other.start()
    try:
        with threads_apart():
            mine = os.sched_getaffinity(threading.get_native_id())
            others = os.sched_getaffinity(other.native_id or 0)
            assert len(mine) == len(others) == 1
            assert mine != others
        assert os.sched_getaffinity(threading.get_native_id()) == allowed
        assert os.sched_getaffinity(other.native_id or 0) == allowed
    finally:
        go.set()
        other.join(30)


def test_a_thread_that_ends_inside_is_no_trouble() -> None:
    go = threading.Event()
    other = threading.Thread(target=lambda: go.wait(30))
    other.start()
    with threads_apart():
        go.set()
        other.join(30)
        assert not other.is_alive()
