"""Small faults put into the code on purpose: do the tests notice them? See `make mutants`."""
