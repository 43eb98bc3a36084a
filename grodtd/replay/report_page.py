"""How a self-contained page is put together: its assets, its one script, the policy that lets nothing else run."""

import base64
import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files
from string import Template

ASSETS = files("grodtd.replay") / "report_assets"


def asset(name: str) -> str:
    """Return one of the files that came with grodtd."""
    return (ASSETS / name).read_text(encoding="utf-8")


def filled(name: str, **parts: str) -> str:
    """Return a template with its parts in place; they are HTML, escaped where they were made.

    A line `<!-- include NAME -->` stands for another template, which takes the same parts: what pages share.
    """
    whole = re.sub(r"<!-- include (\S+) -->\n", lambda found: asset(found[1]), asset(name))
    return Template(whole).substitute(parts)


def script_of(names: Iterable[str]) -> str:
    """Return files of ours as one script; they share one function's names, and nothing outside sees them."""
    return "\n".join(["(function () {", '"use strict";', *(asset(name) for name in names), "})();"])


def security_policy(*scripts: str) -> str:
    """Nothing is loaded from anywhere; only these scripts run. Plotly sets styles of its own."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    rules = (
        "default-src 'none'",
        f"script-src {allowed}",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)
