"""A seeded world round the real runtime: virtual time, faults on order, checkers that look only at the venue."""
