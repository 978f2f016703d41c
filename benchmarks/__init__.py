"""Measures, run by hand with `make bench`: they print figures and never fail a build."""
