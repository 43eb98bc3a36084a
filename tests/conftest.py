"""What all tests share: how hard the property tests try, a clean environment, where recorded prices are."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPO = Path(__file__).resolve().parent.parent

# HYPOTHESIS_PROFILE picks one. `ci` draws the same examples every time, so a red build is red for everybody;
# `dev` looks in new places on every run; `thorough` is for a night. No deadlines: a slow machine is no fault
# in the code.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None, print_blob=True)
EXAMPLES = int(os.environ.get("GRODTD_EXAMPLES", "10000"))
settings.register_profile(
    "thorough",
    max_examples=EXAMPLES,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# Settings in the shell of whoever runs the tests must not decide what the tests see.
for name in [name for name in os.environ if name.startswith("GRODTD_")]:
    del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In a thorough run let tests that name a number of examples try as many times harder as the others do."""
    if settings.default is not settings.get_profile("thorough"):
        return
    for item in items:
        test = getattr(item, "obj", None)
        own = getattr(test, "_hypothesis_internal_use_settings", None)
        if own is not None and own.max_examples != EXAMPLES:
            more = max(own.max_examples, own.max_examples * EXAMPLES // 100)
            test._hypothesis_internal_use_settings = settings(own, max_examples=more)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of recorded market data beside the checkout; skip where there is none."""
    folder = REPO.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no recorded market data at {folder}")
    return folder
