"""Tests of the emulator's own modules."""
