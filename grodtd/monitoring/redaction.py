"""What must never be read in a log: secrets, by the name of their key and by their value, and control characters.

Register every secret of the process as soon as it is known. Its value is then struck out of any line, also where it
was encoded on its way there: base64 (wherever in the encoded text it stands), hexadecimal, URL- and JSON-escaped.
"""

import base64
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote

STRUCK = "[redacted]"
SHORTEST = 4
"""A shorter value is no secret: striking it out would leave nothing readable."""

SHORTEST_IN_ENVIRONMENT = 8

SECRET_KEY = re.compile(
    r"(^|[_-])pass$|passw(or)?d|passphrase|passcode|secret|token|api_?key|private_?key|credential|authorization|^auth$|cookie|signature"
    r"|^pin$|^otp|^dsn$",
    re.IGNORECASE,
)
"""Names whose values are struck out unread."""

URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):([^@/\s]+)@")


class Secrets:
    """The secrets this process knows, and how to keep them out of text.

    >>> secrets = Secrets()
    >>> secrets.register("s3cr3t-pass")
    >>> secrets.strike("login with s3cr3t-pass failed")
    'login with [redacted] failed'
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def register(self, value: str) -> None:
        """Learn a secret. One of fewer than four characters cannot be kept out, and is not tried."""
        if len(value) >= SHORTEST:
            self._forms.update(forms(value))
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)

    def strike(self, text: str) -> str:
        """Return the text without any secret, registered or plain to see as a password in a URL."""
        if self._pattern is not None:
            text = self._pattern.sub(STRUCK, text)
        return URL_PASSWORD.sub(rf"\1:{STRUCK}@", text)

    def strike_keys(self, value: Any, key: str = "") -> Any:
        """Return a value with what stands under a telling name struck out, however deep it lies."""
        if key and SECRET_KEY.search(key) and value not in (None, "", True, False):
            return STRUCK
        if isinstance(value, dict):
            return {name: self.strike_keys(inner, str(name)) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.strike_keys(inner) for inner in value]
        return value


def secrets_of(environ: Mapping[str, str], urls: Iterable[str]) -> Secrets:
    """Return the secrets a process begins with: variables with telling names, passwords in URLs.

    A variable's value of fewer than eight characters is more likely a word than a secret, and is left alone.
    """
    secrets = Secrets()
    for name, value in environ.items():
        if SECRET_KEY.search(name) and len(value) >= SHORTEST_IN_ENVIRONMENT:
            secrets.register(value)
    for url in urls:
        found = URL_PASSWORD.search(url)
        if found:
            secrets.register(found[2])
            secrets.register(unquote(found[2]))
    return secrets


def forms(secret: str) -> Iterator[str]:
    """Yield how a secret may look in text.

    In base64 a value looks different by where it stands: for each of the three places in a group of three bytes, the
    characters that depend on the value alone are taken.
    """
    raw = secret.encode()
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield raw.hex()
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        first = (before * 8 + 5) // 6
        whole = (before + len(raw)) * 8 // 6  # a last character may depend on what follows
        core = encoded[first:whole]
        if len(core) >= SHORTEST:
            yield core
            yield core.replace("+", "-").replace("/", "_")


def one_line(text: str) -> str:
    r"""Write control characters, line breaks and marks that turn writing round as escapes: a line stays one line.

    The escapes are JSON's, so a finished JSON line stays one, too.

    >>> print(one_line("bought" + chr(13) + chr(10) + "level=info forged" + chr(27) + "[2J"))
    bought\r\nlevel=info forged\u001b[2J
    """
    if text.isprintable():
        return text
    return "".join(char if _harmless(char) else _escaped(char) for char in text)


def _harmless(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs"


def _escaped(char: str) -> str:
    return "\\u007f" if char == "\x7f" else json.dumps(char)[1:-1]
