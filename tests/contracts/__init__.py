"""Defines the promises that every adapter of a port keeps."""

from pathlib import Path

import pytest

# The contracts are in modules that are no test files: rewrite their asserts, too.
pytest.register_assert_rewrite(
    *(f"tests.contracts.{module.stem}" for module in Path(__file__).parent.glob("[a-z]*.py"))
)
