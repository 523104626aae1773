"""Benchmarks: each runs alone, prints a table, and with --json one object."""
