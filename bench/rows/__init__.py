"""The rows of the bench, one module for each group."""
