"""What every adapter of a port must keep, whatever it is built on."""

from pathlib import Path

import pytest

# The promises stand in modules that are no test files themselves; their asserts shall speak too.
pytest.register_assert_rewrite(
    *(f"tests.contracts.{module.stem}" for module in Path(__file__).parent.glob("[a-z]*.py"))
)
