"""grodtd looks after a trade from its entry fill to its exit.

It protects every filled unit with a stop worked out from volatility, aims for a target in proportion to the
risk, makes the two exits behave as one-cancels-other on any venue, and survives lost replies, partial fills
and crashes.

Start with `grodtd.bootstrap`, the worlds it runs in, or `grodtd.execution.trade_exit_service`, its door.
"""

__version__ = "0.1.0"
