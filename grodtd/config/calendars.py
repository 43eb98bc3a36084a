"""Whether a trading calendar exists. The usual ones are known here: their library loads pandas, or is not there."""

from difflib import get_close_matches

from grodtd.domain.instrument import ALWAYS_OPEN, CURRENCIES

COMMON = frozenset({
    "24/5", "24/7", "ASX", "BATS", "BMF", "BVMF", "CBOT", "CFE", "CME", "CMES", "COMEX", "FX", "HKEX", "ICE", "JPX",
    "LSE", "NASDAQ", "NYMEX", "NYSE", "OSE", "SIX", "SSE", "TASE", "TSX", "XAMS", "XASX", "XBOM", "XBRU", "XCSE",
    "XDUB", "XETR", "XEUR", "XFRA", "XHEL", "XHKG", "XKRX", "XLIS", "XLON", "XMAD", "XMIL", "XNAS", "XNYS", "XOSL",
    "XPAR", "XSES", "XSHG", "XSTO", "XSWX", "XTAI", "XTKS", "XTSE", "XWBO",
})  # fmt: skip
"""Codes that need no asking, so that a check of a usual configuration stays quick."""


def calendar_code(code: str) -> str:
    """Return the code of a calendar. Raises ValueError for a name that is none; where nobody can tell, it stands.

    >>> calendar_code("XNYS")
    'XNYS'
    """
    if code in COMMON:
        return code
    try:
        import exchange_calendars as library  # noqa: PLC0415 - it loads pandas: seconds, for those who need it
    except ImportError:  # whoever needs its hours says what to install
        return code
    names = [*CURRENCIES, ALWAYS_OPEN, *library.get_calendar_names()]
    if code in names:
        return code
    near = get_close_matches(code.upper(), names, 1, 0.5)
    raise ValueError("no calendar has this code" + (f"; nearest: {near[0]}" if near else ""))
