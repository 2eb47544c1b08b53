"""What holds for all tests.

Properties are tested with the same examples for the same code, so that a run tells of a change and
not of luck; `make fuzz` looks for new ones. Helpers that assert show what they have seen, like
tests do.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.chaos", "tests.scenarios", "tests.emulator_client")

# No deadline: how long an example takes says something of the machine, and a hang ends by itself.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("searching", max_examples=2_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
