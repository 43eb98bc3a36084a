"""A simulated venue: pure, synchronous, deterministic. Times are parameters, answers are reports."""
