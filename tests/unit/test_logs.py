"""Logs: what they tell of a bracket, and what they never tell."""

import base64
import io
import json
import logging
import sys
import warnings
from decimal import Decimal
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grodtd.domain.events import BracketRequested, CapabilitiesLearned, InstrumentsLoaded, PoliciesLoaded
from grodtd.domain.instrument import Instrument
from grodtd.domain.market import Quote
from grodtd.domain.orders import ExecutionReport, OrderReport, OrderStatus, Side
from grodtd.domain.policy import Policy
from grodtd.execution.enhanced_engine import Engine
from grodtd.monitoring.logs import capture_libraries, keys_of, make_logger, style_for
from grodtd.monitoring.redaction import STRUCK, Secrets, one_line, secrets_of
from grodtd.monitoring.step_log import StepLog
from grodtd.venue.profiles import MARGIN

CANARY = "kanari/Vogel+17=geheim"
STYLES = pytest.mark.parametrize("style", ["json", "console"])


def logger(style="json", *secrets):
    out = io.StringIO()
    return make_logger(out, style, keys_of(secrets)), out


def lines(out):
    return [json.loads(line) for line in out.getvalue().splitlines()]


def fail(error):
    raise error


# ---------------------------------------------------------------- what is never told


def ways_to_leak(secret):
    """Every way we could think of a secret coming by: (how, what to log)."""
    basic = base64.b64encode(f"user:{secret}".encode()).decode()
    return [
        ("as a value", {"detail": secret}),
        ("inside a sentence", {"detail": f"login with {secret} failed"}),
        ("under a telling name", {"api_key": "whatever it is"}),
        ("deep down", {"request": {"headers": [{"X-Token": "t0ken-of-ours"}, {"note": secret}]}}),
        ("as bytes", {"body": secret.encode()}),
        ("in base64", {"detail": base64.b64encode(secret.encode()).decode()}),
        ("in base64 for URLs", {"detail": base64.urlsafe_b64encode(secret.encode()).decode()}),
        ("as basic authentication", {"detail": f"Basic {basic}"}),
        ("in base64, somewhere", {"detail": base64.b64encode(f"{{'k': '{secret}', 'x': 1}}".encode()).decode()}),
        ("in base64, somewhere else", {"detail": base64.b64encode(f"xy{secret}z".encode()).decode()}),
        ("in a URL's query", {"url": f"https://x.example/?k={quote(secret, safe='')}"}),
        ("in a form", {"body": f"k={quote_plus(secret)}"}),
        ("in hexadecimal", {"detail": secret.encode().hex().upper()}),
        ("as JSON in JSON", {"detail": json.dumps({"k": secret})}),
        ("as the name of a key", {"detail": {secret: 1}}),
        ("in a URL's password", {"journal": f"postgresql://grodtd:{secret}@db/x"}),
    ]


def readable(text, secret):
    """Whether a reader of `text` could get at the secret: as it stands, or out of any encoding used above."""
    forms = [secret, quote(secret, safe=""), quote_plus(secret), secret.encode().hex(), json.dumps(secret)[1:-1]]
    decoded = [text, text.replace("\\\\", "\\").replace('\\"', '"')]
    for word in text.replace('"', " ").replace("=", " ").split():
        for alphabet in (base64.b64decode, base64.urlsafe_b64decode):
            for skip in range(4):
                piece = word[skip:]
                try:
                    decoded.append(alphabet(piece + "=" * (-len(piece) % 4)).decode("utf-8", "replace"))
                except ValueError:
                    continue
    return any(form.lower() in one.lower() for form in forms for one in decoded)


def test_the_reader_used_here_can_read():
    for how, what in ways_to_leak(CANARY):
        if "telling" not in how:
            assert readable(" ".join(map(str, what.values())), CANARY), how


@STYLES
@pytest.mark.parametrize(("how", "what"), ways_to_leak(CANARY), ids=[how for how, _ in ways_to_leak(CANARY)])
def test_a_secret_is_struck_out_however_it_comes_by(style, how, what):
    log, out = logger(style, CANARY)
    log.info("something happened", **what)
    assert not readable(out.getvalue(), CANARY), out.getvalue()
    assert "whatever it is" not in out.getvalue()
    assert "t0ken-of-ours" not in out.getvalue()
    assert STRUCK in out.getvalue()


@STYLES
def test_a_secret_in_an_error_and_in_what_a_library_says_is_struck_out(style):
    secrets, out = keys_of([CANARY]), io.StringIO()
    log = make_logger(out, style, secrets)
    root = logging.getLogger()
    kept = root.handlers[:], root.level
    try:
        capture_libraries(out, style, secrets)
        try:
            fail(ConnectionError(f"GET https://x.example/?k={CANARY} failed"))
        except ConnectionError:
            log.exception("asking the venue")
            logging.getLogger("httpx").exception("request %s", CANARY)
        warnings.warn(f"deprecated: {CANARY}", UserWarning, stacklevel=1)
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:], root.level = kept
    text = out.getvalue()
    assert not readable(text, CANARY), text
    assert text.count("ConnectionError") >= 2
    assert "deprecated" in text
    assert "asking the venue" in text


@STYLES
@given(secret=st.text(min_size=4, max_size=30), around=st.text(max_size=5))
def test_no_secret_whatever_its_characters_is_read_in_plain(style, secret, around):
    log, out = logger(style, secret)
    log.info("x", detail=f"{around}{secret}{around}")
    shown = out.getvalue().split("detail", 1)[1]
    assert STRUCK in shown
    assert f"{around}{secret}{around}" not in shown or secret in STRUCK


def test_a_key_of_several_lines_is_struck_out_of_a_trace():
    key = "-----BEGIN KEY-----\nabc\ndef\n-----END KEY-----"
    for style in ("json", "console"):
        log, out = logger(style, key)
        try:
            fail(ValueError(key))
        except ValueError:
            log.exception("reading the key")
        assert "abc" not in out.getvalue()


def test_a_password_in_a_url_needs_no_registering():
    url = "postgresql://grodtd:what-nobody-registered@db:5432/journal"
    assert Secrets().strike(f"opening {url}") == f"opening postgresql://grodtd:{STRUCK}@db:5432/journal"


def test_a_process_begins_with_the_secrets_of_its_environment_and_urls():
    environ = {"BROKER_API_KEY": "abcdefgh-1", "SHORT_TOKEN": "true", "HOME": "/home/trader"}
    secrets = secrets_of(environ, ["postgresql://u:p%40ssw0rd@db/x", "journal.db"])
    told = secrets.strike("abcdefgh-1 true /home/trader p@ssw0rd p%40ssw0rd")
    assert told == f"{STRUCK} true /home/trader {STRUCK} {STRUCK}"


def test_what_is_too_short_is_no_secret():
    secrets = Secrets()
    secrets.register("abc")
    assert secrets.strike("abc") == "abc"


@pytest.mark.parametrize(
    ("key", "struck"),
    [
        ("password", True),
        ("API_KEY", True),
        ("apiKey", True),
        ("client_secret", True),
        ("Authorization", True),
        ("set-cookie", True),
        ("private_key", True),
        ("symbol", False),
        ("bypass", False),
        ("author", False),
        ("key", False),
    ],
)
def test_telling_names(key, struck):
    assert (Secrets().strike_keys({key: "value"})[key] == STRUCK) is struck


FORGED = "filled\r\n12:00:00 info forged\x1b[2J\x7f\x85\u2028\u202eend\x00"


@STYLES
def test_one_event_is_one_line_whatever_a_venue_sends(style):
    log, out = logger(style)
    log.info(FORGED, reason=FORGED, **{"odd\nkey": FORGED})
    [line] = out.getvalue().rstrip("\n").split("\n")
    assert len(out.getvalue().splitlines()) == 1
    assert line.isprintable()
    assert "\\r\\n" in line


@given(st.text())
def test_escapes_leave_a_finished_json_line_valid(text):
    line = one_line(json.dumps({"k": text}, ensure_ascii=False))
    assert json.loads(line) == {"k": text}
    assert line.isprintable() or " " in line or "\u3000" in line or not line.isascii()


def test_a_trace_in_the_console_cannot_pass_for_a_line_of_its_own():
    log, out = logger("console")
    try:
        fail(ValueError("one\n12:00:00.000 info     forged"))
    except ValueError:
        log.exception("working")
    first, *rest = out.getvalue().splitlines()
    assert first.split("  ", 1)[1].strip().startswith("working") or "working" in first
    assert all(line.startswith("    | ") for line in rest)


# ---------------------------------------------------------------- what is told


def test_a_line_has_time_level_event_and_context_first():
    log, out = logger()
    log.bind(bracket="B1", symbol="X").warning("stop_refused", order="B1.stop1", reason="halted")
    [line] = lines(out)
    assert list(line)[:6] == ["time", "level", "event", "bracket", "symbol", "order"]
    assert (line["level"], line["event"], line["reason"]) == ("warning", "stop_refused", "halted")
    assert line["time"].endswith("Z")


def test_a_person_gets_columns():
    log, out = logger("console")
    log.bind(bracket="B1").info("stop_placed", quantity="100", reason="", why="two words")
    assert out.getvalue()[14:].rstrip() == 'info     stop_placed  bracket=B1 quantity=100 why="two words"'


@pytest.mark.parametrize(("terminal", "wanted", "style"), [(True, None, "console"), (False, None, "json")])
def test_without_a_wish_people_get_columns_and_programs_json(terminal, wanted, style):
    out = io.StringIO()
    out.isatty = lambda: terminal
    assert style_for(out, wanted) == style
    assert style_for(out, "json") == "json"


def test_nothing_else_is_a_style():
    with pytest.raises(ValueError, match="json or console"):
        make_logger(sys.stderr, "xml", Secrets())


class Life:
    """One engine with a log behind it; time is told in milliseconds."""

    def __init__(self):
        self.log, self.out = logger()
        self.engine, self.sequence = Engine(), 0
        self.steps = StepLog(self.log, lambda name: "X" if name else "")
        for fact in (
            PoliciesLoaded({"default": Policy()}),
            InstrumentsLoaded((Instrument("X"),)),
            CapabilitiesLearned(MARGIN),
        ):
            self.engine.process(fact)

    def take(self, event):
        outcome = self.engine.process(event)
        self.sequence += 1
        self.steps(event, outcome, self.sequence)
        return outcome


def at(ms):
    return {"ts_received_ns": 1_000_000_000 + ms * 1_000_000}


def protected():
    life = Life()
    life.take(
        BracketRequested("B1", "X", Side.BUY, Decimal(10), filled_qty=Decimal(10), filled_px=Decimal(100), **at(0))
    )
    life.take(OrderReport("B1.stop1", OrderStatus.WORKING, **at(40)))
    return life


def test_a_bracket_is_told_step_by_step_under_its_own_name():
    life = protected()
    told = lines(life.out)
    assert {(line["bracket"], line["symbol"]) for line in told} == {("B1", "X")}
    events = [line["event"] for line in told]
    assert events[0] == "bracket_requested"
    for step in ("plan_chosen", "levels_set", "entry_filled", "stop_placed", "submit", "order_report", "acknowledged"):
        assert step in events
    sent = next(line for line in told if line["event"] == "submit")
    assert (sent["order"], sent["side"], sent["type"], sent["stop_px"]) == ("B1.stop1", "sell", "stop", "98")
    assert [line["sequence"] for line in told] == sorted(line["sequence"] for line in told)


def test_creation_acknowledgement_and_cancel_are_timed():
    life = protected()
    told = {line["event"]: line for line in lines(life.out)}
    assert told["acknowledged"]["ack_ms"] == 40.0
    assert (told["covered"]["creation_ms"], told["covered"]["naked_ms"]) == (40.0, 40.0)

    life.take(Quote("X", Decimal(105), Decimal(105), **at(100)))  # through the target: the stop goes first
    life.take(OrderReport("B1.stop1", OrderStatus.CANCELED, **at(175)))
    told = {line["event"]: line for line in lines(life.out)}
    assert told["cancel_settled"]["cancel_ms"] == 75.0
    assert told["cancel_settled"]["order"] == "B1.stop1"


def test_an_alarm_is_an_error_and_an_idle_quote_is_nothing():
    life = protected()
    before = len(lines(life.out))
    life.take(Quote("X", Decimal(100), Decimal(100), **at(50)))
    assert len(lines(life.out)) == before
    life.take(ExecutionReport("B1.stop1", OrderStatus.CANCELED, reason="by\nhand", **at(60)))
    told = lines(life.out)[before:]
    assert told[0]["reason"] == "by\nhand"
    assert any(line["level"] == "warning" for line in told)
