"""A policy for one bracket: its strategy's, with keys set by hand (`grodtd protect --set trailing.method=percent`)."""

from collections.abc import Mapping

from grodtd.config.environment import read_environment
from grodtd.config.layers import read_layer
from grodtd.config.loading import Configuration
from grodtd.config.policy_file import Base, lay
from grodtd.config.text import Leaf, Path, scalar
from grodtd.domain.errors import ConfigError
from grodtd.domain.policy import Policy, policy_for

SHOWN = "--set"
OWN = "own"


def own_policy(configuration: Configuration, strategy: str, symbol: str, settings: Mapping[str, str]) -> Policy | None:
    """Return a strategy's policy in a symbol with `settings` on top: keys below `trade_exit`, values as in a file.

    They are laid on what was read when the configuration was loaded, not on what the files say now. None: no strategy
    has that name. Raises: ConfigError - a key or a value that is not allowed, or does not go with the others.

    >>> from grodtd.config.loading import default_config_dir, load
    >>> shipped = load(default_config_dir(), environ={})
    >>> own_policy(shipped, "default", "AAPL", {"atr.multiplier": "2.5"}).atr.multiplier
    Decimal('2.5')
    """
    sources = configuration.sources
    assert sources is not None, "a configuration that was loaded knows what it was made of"
    leaves: dict[Path, Leaf] = {}
    for line, (key, value) in enumerate(settings.items(), 1):
        path = tuple(key.split("."))
        if any(path[: len(other)] == other or other[: len(path)] == path for other in leaves):
            raise ConfigError([f"{SHOWN}:{line}: {key}: set twice, here and by a block around it: keep one of the two"])
        leaves[path] = Leaf(scalar(value), line)
    files = [read_layer(source) for source in sources.files]
    base = Base(files, read_environment(sources.variables, files), configuration)
    try:
        laid = lay(OWN, leaves, SHOWN, base)
    except ConfigError as error:
        raise ConfigError([words.replace(f"{OWN}.", "") for words in error.problems]) from None
    return policy_for(laid.configuration.policies, strategy, symbol)
