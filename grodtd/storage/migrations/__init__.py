"""Schema migrations, one script a step, as alembic operations. `migrate.py` runs them; there is no env.py."""
