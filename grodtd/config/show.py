"""The effective configuration for a person or a program: every value in force, and where it comes from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from grodtd.config.fields import word
from grodtd.config.loading import Configuration, default_config_dir, load
from grodtd.domain.errors import ConfigError

BAD_CONFIGURATION = 2
"""Exit status of a check that found problems."""


def effective_lines(configuration: Configuration) -> list[str]:
    """Return the effective configuration as lines of plain text: key, value, origin; one block a policy."""
    environment = f", environment {configuration.env}" if configuration.env else ""
    lines = [f"configuration {configuration.fingerprint} from {configuration.directory}{environment}"]
    lines += [f"read: {', '.join(configuration.files)}"]
    headings = {
        _place_of(name): f"policy {name} ({policy.fingerprint})"
        for name, policy in configuration.policies.items()
        if name != "default"
    }
    headings["trade_exit."] = f"policy default ({configuration.policies['default'].fingerprint})"
    headings["risk_limits."] = "risk limits of the account"
    headings["instruments."] = "instruments"
    headings["brokers."] = f"brokers (in use: {configuration.brokers.use})"
    headings["daemon."] = "the daemon itself"
    width = max(len(path) for path in configuration.values) + 2
    broad = max(len(word(value)) for value in configuration.values.values()) + 2
    heading = ""
    for path, value in configuration.values.items():
        under = next(text for prefix, text in headings.items() if path.startswith(prefix))
        if under != heading:
            lines += ["", under]
            heading = under
        lines.append(f"  {path:<{width}}{word(value):<{broad}}{configuration.origins[path]}")
    return lines


def _place_of(policy: str) -> str:
    """Where the values of a policy stand: of `strategy@symbol`, only what the symbol changes."""
    strategy, _, symbol = policy.partition("@")
    return f"trade_exit.symbols.{symbol}." if strategy == "default" and symbol else f"trade_exit.strategies.{policy}."


def effective_data(configuration: Configuration) -> dict[str, Any]:
    """Return the effective configuration as JSON-ready data; numbers with decimals are text."""
    return {
        "ok": True,
        "fingerprint": configuration.fingerprint,
        "directory": configuration.directory,
        "env": configuration.env,
        "files": list(configuration.files),
        "policies": {name: policy.fingerprint for name, policy in configuration.policies.items()},
        "instruments": list(configuration.instruments),
        "values": [
            {"path": path, "value": value, "origin": str(configuration.origins[path])}
            for path, value in configuration.values.items()
        ],
    }


def run_check(
    directory: Path | str | None = None,
    env: str | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    as_json: bool = False,
) -> tuple[str, int]:
    """Return what `grodtd config check` says, and its exit status: 0, or 2 with every problem on its line."""
    try:
        configuration = load(default_config_dir() if directory is None else directory, env, environ)
    except ConfigError as error:
        if as_json:
            return _json({"ok": False, "problems": error.problems}), BAD_CONFIGURATION
        count = len(error.problems)
        verdict = f"{count} problem{'s' if count != 1 else ''}; nothing was loaded"
        return "\n".join([*error.problems, verdict]), BAD_CONFIGURATION
    return (_json(effective_data(configuration)) if as_json else "\n".join(effective_lines(configuration))), 0


def _json(data: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode()
