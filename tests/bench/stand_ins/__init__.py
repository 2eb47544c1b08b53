"""Groups of rows that behave in one way each, well or badly, for the tests of the bench itself."""
