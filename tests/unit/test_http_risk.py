"""The outside risk system: a real HTTP server that answers well, badly, late or not at all."""

import asyncio
import json
import threading
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from grodtd.connectors.http_risk import MOST_BYTES, HttpRiskAdvisor
from grodtd.domain.orders import Side
from grodtd.domain.risk import AdvisorSettings, OnSilence
from grodtd.ports import RiskQuestion

D = Decimal
QUESTION = RiskQuestion(
    "B7", "AAPL", Side.BUY, D(100), D("187.20"), D("183.20"), "swing", D("400.00"), D("18720.00"), None
)


@contextmanager
def risk_system(status=200, body=b"{}", *, silent=False, trickle=False, location=""):
    """Serve one answer to everything; `asked` collects what came. `silent` holds its answer until the test is over."""
    asked, over = [], threading.Event()

    class Desk(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            if silent:
                over.wait()
                return
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body[:1] if trickle else body)
                if trickle:
                    self.wfile.flush()
                    over.wait()
            except OSError:
                pass  # the one who asked has hung up

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/check", asked
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def advice(url, on_silence=OnSilence.REFUSE, timeout_s="5"):
    async def asked():
        async with HttpRiskAdvisor(AdvisorSettings(url, D(timeout_s), on_silence)) as advisor:
            return await advisor.ask(QUESTION)

    return asyncio.run(asked())


def test_it_allows():
    with risk_system(body=b'{"allow": true}') as (url, asked):
        assert advice(url).allow
    assert asked == [
        {
            "bracket_id": "B7",
            "symbol": "AAPL",
            "side": "buy",
            "quantity": "100",
            "entry_px": "187.20",
            "stop_px": "183.20",
            "strategy": "swing",
            "risk_money": "400.00",
            "notional": "18720.00",
            "equity": None,
        }
    ]


def test_it_denies_with_its_reason_on_one_line():
    with risk_system(body=b'{"allow": false, "reason": "too much\\n tech", "ticket": 7}') as (url, _):
        told = advice(url)
    assert (told.allow, told.reason, told.silent) == (False, "too much tech", False)


def test_a_denial_without_a_reason_says_so():
    with risk_system(body=b'{"allow": false}') as (url, _):
        assert advice(url).reason == "no reason given"


SENSELESS = [
    ("an error", {"status": 500, "body": b'{"allow": true}'}, "answered 500"),
    ("not there", {"status": 404}, "answered 404"),
    ("accepted is not allowed", {"status": 202, "body": b'{"allow": true}'}, "answered 202"),
    ("no JSON", {"body": b"<html>allow</html>"}, "answered what is no {allow, reason}"),
    ("nothing", {"body": b""}, "answered what is no {allow, reason}"),
    ("half an answer", {"body": b'{"allow": tr'}, "answered what is no {allow, reason}"),
    ("another shape", {"body": b"[true]"}, "answered what is no {allow, reason}"),
    ("no verdict", {"body": b'{"reason": "fine"}'}, "answered what is no {allow, reason}"),
    ("text for yes", {"body": b'{"allow": "false"}'}, "answered what is no {allow, reason}"),
    ("no text", {"body": b'{"allow": true, "reason": "\xff"}'}, "answered what is no {allow, reason}"),
    ("endless", {"body": b" " * (MOST_BYTES + 1)}, "answered more than"),
    ("elsewhere", {"status": 307, "location": "http://127.0.0.1:1/"}, "answered 307"),
]


@pytest.mark.parametrize(("answer", "why"), [row[1:] for row in SENSELESS], ids=[row[0] for row in SENSELESS])
@pytest.mark.parametrize("on_silence", OnSilence)
def test_an_answer_that_makes_no_sense_is_silence(answer, why, on_silence):
    with risk_system(**answer) as (url, asked):
        told = advice(url, on_silence)
    assert told.silent
    assert told.allow is (on_silence is OnSilence.ALLOW)
    assert why in told.reason
    assert told.reason.endswith(f"risk_limits.advisor.on_silence is {on_silence.value}")
    assert len(asked) == 1


@pytest.mark.parametrize("how", [{"silent": True}, {"trickle": True, "body": b'{"allow": true}'}])
@pytest.mark.parametrize("on_silence", OnSilence)
def test_an_answer_that_does_not_come_in_time_is_silence(how, on_silence):
    with risk_system(**how) as (url, _):
        told = advice(url, on_silence, timeout_s="0.2")
    assert told.silent
    assert told.allow is (on_silence is OnSilence.ALLOW)
    assert "no answer within 0.2 s" in told.reason


def test_nobody_there_is_silence():
    with risk_system() as (url, _):
        pass
    told = advice(url)
    assert told.silent
    assert not told.allow
    assert f"the risk system {url} cannot be reached" in told.reason
