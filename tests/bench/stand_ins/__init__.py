"""Groups of rows with one behaviour each, good or bad, for the tests of the bench itself."""
