"""`load`: directory, environment and variables in, one frozen `Configuration` out, or every problem at once."""

import hashlib
import os
from collections.abc import Mapping
from datetime import time
from pathlib import Path

import msgspec

import grodtd
from grodtd.config.broker_schema import BrokerSettings
from grodtd.config.daemon_schema import DaemonSettings
from grodtd.config.environment import read_environment
from grodtd.config.fields import Value
from grodtd.config.layers import Origin, read_layer
from grodtd.config.registry import FILES
from grodtd.config.resolve import resolve
from grodtd.config.risk_schema import RiskSettings
from grodtd.config.sources import Sources, read_sources
from grodtd.domain.errors import ConfigError
from grodtd.domain.instrument import Instrument
from grodtd.domain.policy import Policy


class Configuration(msgspec.Struct, frozen=True):
    """Everything the files, the environment and the built-in defaults say, as values that no longer change."""

    policies: dict[str, Policy]
    """One a strategy, `default` always among them; `strategy@symbol` where a symbol has keys of its own."""
    instruments: dict[str, Instrument]
    day_rolls_at: time
    """UTC; with `risk.limits.day_calendar` the day ends with a session instead."""
    values: dict[str, Value]
    """Every key in force by its full path; numbers with decimals are text, exactly as they trade."""
    origins: dict[str, Origin]
    """Where each of `values` comes from."""
    directory: str
    env: str | None
    files: tuple[str, ...]
    """What was read, lowest precedence first."""
    content_digest: str
    """SHA-256 of the files and variables: the same content was loaded before."""
    brokers: BrokerSettings = BrokerSettings()
    """Which account a daemon trades, and whose fills it protects."""
    risk: RiskSettings = RiskSettings()
    """The account's limits on new entries, and the outside system that is asked."""
    daemon: DaemonSettings = DaemonSettings()
    """What a daemon watches itself by, and how much it keeps."""
    sources: Sources | None = None
    """What it was loaded from, as it was read; a policy of a single bracket is laid on that."""

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change when any value in force does, and only then: 2 and 2.0 are one value."""
        return hashlib.sha256(msgspec.json.encode(self.values, order="deterministic")).hexdigest()[:12]


def load(config_dir: Path | str, env: str | None = None, environ: Mapping[str, str] | None = None) -> Configuration:
    """Load `config_dir`, its folder `env` on top where one is named, and the GRODTD_ variables (None: the process's).

    Raises ConfigError with every problem there is, one line each (the operator: mend the files and start again).
    """
    return load_sources(read_sources(config_dir, env, os.environ if environ is None else environ))


def load_sources(sources: Sources) -> Configuration:
    """Load what was read already. Raises ConfigError like `load`."""
    files = [read_layer(source) for source in sources.files]
    environment = read_environment(sources.variables, files)
    resolved = resolve(files, environment)
    problems = list(sources.problems)
    for layer in files:
        problems += layer.problems
    problems += environment.problems + resolved.problems
    if problems:
        raise ConfigError(problems)
    return Configuration(
        policies=resolved.policies,
        instruments=resolved.instruments,
        day_rolls_at=resolved.day_rolls_at,
        values=resolved.values,
        origins=resolved.origins,
        directory=sources.directory,
        env=sources.env,
        files=tuple(source.shown for source in sources.files),
        content_digest=sources.digest,
        brokers=resolved.brokers,
        risk=resolved.risk,
        daemon=resolved.daemon,
        sources=sources,
    )


def default_config_dir() -> Path:
    """Return the configuration that came with grodtd: packaged as data, or `configs/` of the checkout.

    Raises ConfigError when neither is there (the operator: name a directory with --config).
    """
    package = Path(grodtd.__file__).resolve().parent
    for folder in (package / "_configs", package.parent / "configs"):
        if any((folder / name).is_file() for name in FILES):
            return folder
    raise ConfigError(
        [f"{package / '_configs'}: grodtd came without its configuration: name a directory with --config"]
    )
