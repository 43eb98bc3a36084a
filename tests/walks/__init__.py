"""Walks over everything a small venue can do: a model venue, and a breadth-first search over its interleavings."""
