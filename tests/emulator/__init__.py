"""The sandbox, tested by itself and by clients that are not ours."""
