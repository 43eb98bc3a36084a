"""An outside risk system over HTTP: asked before each entry, with a stated answer for when it is silent.

    POST url   {"bracket_id": "B7", "symbol": "AAPL", "side": "buy", "quantity": "100", "entry_px": "187.2",
                "stop_px": "183.2", "strategy": "swing", "risk_money": "400", "notional": "18720", "equity": "100000"}
    200        {"allow": true}  or  {"allow": false, "reason": "concentration limit"}

Numbers with decimals are text, so that nothing rounds them; what is not known is null. Anything but that answer within
`timeout_s` (no connection, another status, no such JSON) is silence: `on_silence` answers then, and the advice says so.
A redirect is not followed: the answer must come from the address that was configured.
"""

import asyncio
from typing import Self

import httpx
import msgspec

from grodtd.domain.money import plain
from grodtd.domain.risk import AdvisorSettings, OnSilence
from grodtd.ports import Advice, RiskQuestion

MOST_BYTES = 64 * 1024
"""A longer answer is none."""
LONGEST_REASON = 300


class _Answer(msgspec.Struct):
    """What the outside system sends back."""

    allow: bool
    reason: str = ""


class HttpRiskAdvisor:
    """`ports.RiskAdvisor` over one connection pool; use it as a context, or `aclose` it.

    `settings.url` must be set. `transport` takes the place of the network, for a test or a proxy of your own.
    """

    def __init__(self, settings: AdvisorSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        assert settings.url is not None, "nobody is to be asked: make no advisor"
        self._url, self._settings = settings.url, settings
        self._client = httpx.AsyncClient(transport=transport, timeout=None, follow_redirects=False)  # noqa: S113 - see ask

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ask(self, question: RiskQuestion) -> Advice:
        """Return what the outside system says, or what its silence means. Never raises but for a cancelled task."""
        timeout_s = self._settings.timeout_s
        try:
            async with asyncio.timeout(float(timeout_s)):  # of everything: a trickle of bytes is no answer either
                return await self._asked(question)
        except TimeoutError:
            return self._silence(f"no answer within {plain(timeout_s)} s")
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return self._silence(f"cannot be reached ({str(error) or type(error).__name__})")

    async def _asked(self, question: RiskQuestion) -> Advice:
        headers = {"content-type": "application/json", "accept": "application/json"}
        async with self._client.stream(
            "POST", self._url, content=msgspec.json.encode(question), headers=headers
        ) as response:
            if response.status_code != httpx.codes.OK:
                return self._silence(f"answered {response.status_code}")
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    return self._silence(f"answered more than {MOST_BYTES} bytes")
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._silence(f"answered what is no {{allow, reason}}: {error}")
        reason = " ".join(answer.reason.split())[:LONGEST_REASON]
        return Advice(answer.allow, reason or ("" if answer.allow else "no reason given"))

    def _silence(self, why: str) -> Advice:
        meaning = self._settings.on_silence
        reason = f"the risk system {self._url} {why}; risk_limits.advisor.on_silence is {meaning.value}"
        return Advice(meaning is OnSilence.ALLOW, reason, silent=True)
