"""Typed mirror of the YAML: load with the origin of every value, check, reload, versions.

`load` is the door; `instrument_for` finds a symbol's rules; `run_check` explains a directory to an operator;
`Reloader` and `VersionStore` look after changes while a daemon runs.
"""

from grodtd.config.instruments import finest_step, instrument_for
from grodtd.config.layers import Origin
from grodtd.config.loading import Configuration, default_config_dir, load
from grodtd.config.reload import Change, Failed, Reloaded, Reloader, diff
from grodtd.config.show import effective_data, effective_lines, run_check
from grodtd.config.versions import Version, VersionStore

__all__ = [
    "Change",
    "Configuration",
    "Failed",
    "Origin",
    "Reloaded",
    "Reloader",
    "Version",
    "VersionStore",
    "default_config_dir",
    "diff",
    "effective_data",
    "effective_lines",
    "finest_step",
    "instrument_for",
    "load",
    "run_check",
]
