"""An independent, slow, obviously-right replay (`brute_force`), and worlds to compare it in (`scenarios`)."""
