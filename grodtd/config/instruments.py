"""Which instrument a symbol is: the listed one, or in a replay one inferred from the data, said aloud."""

from collections.abc import Iterable
from decimal import Decimal
from difflib import get_close_matches

from grodtd.config.loading import Configuration
from grodtd.domain.errors import ConfigError
from grodtd.domain.instrument import Instrument
from grodtd.domain.money import ONE, plain


def finest_step(values: Iterable[Decimal]) -> Decimal:
    """Return the smallest power of ten, 1 at most, that writes every value exactly: a tick or lot taken from data.

    >>> finest_step([Decimal("1.3187"), Decimal("1.31955"), Decimal("1.320000")])
    Decimal('0.00001')
    >>> finest_step([Decimal(100), Decimal(25)])
    Decimal('1')
    """
    decimals = 0
    for value in values:
        exponent = value.normalize().as_tuple().exponent
        if isinstance(exponent, int):
            decimals = max(decimals, -exponent)
    return ONE.scaleb(-decimals)


def instrument_for(
    symbol: str, configuration: Configuration, data_tick: Decimal | None, quantity_step: Decimal = ONE
) -> tuple[Instrument, str]:
    """Return a symbol's instrument and a remark for the operator; the remark is empty for a listed symbol.

    An unlisted symbol takes `data_tick` (see `finest_step`), the finer of 1 and `quantity_step` as its lot, and no
    fee: good enough to replay. Live there is no data to take it from, `data_tick` is None, and it is a ConfigError
    (the operator: list the symbol).
    """
    listed = configuration.instruments.get(symbol)
    if listed is not None:
        return listed, ""
    alike = get_close_matches(symbol.upper(), configuration.instruments, 1, 0.8)
    near = f"; nearest listed symbol: {alike[0]}" if alike else ""
    if data_tick is None:
        home = f"{configuration.directory}/instruments.yaml"
        words = "is not listed: its tick and lot must be known before it is traded"
        raise ConfigError([f"{home}: instruments.symbols.{symbol}: {words}{near}"])
    lot = min(ONE, quantity_step)
    remark = (
        f"{symbol} is not listed in instruments.yaml: tick {plain(data_tick)} taken from the prices, "
        f"lot {plain(lot)}, no fee{near}"
    )
    return Instrument(symbol, tick_size=data_tick, lot_size=lot), remark
