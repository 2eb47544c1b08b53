"""What every adapter of a port must keep, whatever it is built on."""

import pytest

# The promises stand in modules that are no test files themselves; their asserts shall speak too.
pytest.register_assert_rewrite(
    *(
        f"tests.contracts.{name}"
        for name in (
            "accepting",
            "choices",
            "comparisons",
            "dropping",
            "listing",
            "orders",
            "overtaken",
            "remembering",
            "sessions",
            "store",
            "telling",
            "usage",
            "work",
        )
    )
)
