"""Settings for all tests.

Property tests use the same examples for the same code, so that a failed run points to a change and
not to luck; `make fuzz` searches for new examples. Helpers that assert show their values, as tests
do.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.chaos", "tests.scenarios", "tests.emulator_client")

# No deadline: the time of an example depends on the machine, and the test's timeout ends a hang.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("searching", max_examples=2_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
