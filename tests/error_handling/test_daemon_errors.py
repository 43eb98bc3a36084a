"""What an operator gets wrong at the daemon's command line, and what a hostile surrounding does: words and statuses."""

import errno
import io
import json
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from grodtd.bootstrap import run_daemon
from grodtd.cli import app
from grodtd.cli_say import EXTRA_OF, Exit, said_plainly
from grodtd.config.loading import default_config_dir, load
from grodtd.daemon import DaemonOptions
from grodtd.domain.errors import ConfigError, DataError, GrodtdError
from grodtd.monitoring.logs import make_logger
from grodtd.monitoring.redaction import Secrets
from grodtd.ports import Record
from grodtd.service.client import Client, NoDaemon, Problem
from grodtd.service.server import SocketServer, SocketTaken
from grodtd.service.tables import compared_lines
from grodtd.storage.bulk import SyncJournal
from grodtd.storage.errors import JournalCorrupt, JournalLocked
from grodtd.storage.exclusive import ExclusiveLock

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")

REPO = Path(__file__).resolve().parents[2]
VERBS = [
    ("status",),
    ("brackets",),
    ("show", "B1"),
    ("explain", "B1"),
    ("protect", "X", "--side", "buy", "--quantity", "1", "--price", "1"),
    ("flatten", "B1"),
    ("flatten", "all"),
    ("release", "B1", "--reason", "x"),
    ("pause-entries",),
    ("resume",),
    ("reconcile",),
    ("orphans",),
    ("paper-order", "X", "--side", "buy", "--quantity", "1"),
]


def typed(*words):
    """Type a command; return exit status, stdout and stderr."""
    done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


# ---------------------------------------------------------------- nobody there


@pytest.mark.parametrize("words", VERBS, ids=[" ".join(words[:2]) for words in VERBS])
def test_without_a_daemon_every_verb_says_where_it_looked_and_how_to_start_one(tmp_path, words):
    status, out, err = typed(*words, "--state", str(tmp_path))
    assert (status, out) == (Exit.NO_DAEMON, "")
    flat = err.replace("\n", "")
    assert f"no daemon is running: there is no socket {tmp_path}/grodtd.sock" in flat
    assert "Start one with `grodtd run`, or say where it is with --socket or --state" in flat


def test_programs_get_the_same_as_data(tmp_path):
    status, out, _ = typed("status", "--json", "--socket", str(tmp_path / "s"))
    assert status == Exit.NO_DAEMON
    assert json.loads(out)["error"]["code"] == "no_daemon"


def test_where_to_look_comes_from_the_environment_too(tmp_path, monkeypatch):
    monkeypatch.setenv("GRODTD_STATE", str(tmp_path / "there"))
    assert f"{tmp_path}/there/grodtd.sock" in typed("status")[2].replace("\n", "")
    monkeypatch.delenv("GRODTD_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert f"{tmp_path}/xdg/grodtd/grodtd.sock" in typed("status")[2].replace("\n", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("protect", "X", "--side", "buy", "--quantity", "1"), "give either --price"),
        (
            ("protect", "X", "--side", "buy", "--quantity", "1", "--price", "1", "--entry-order", "e"),
            "give either --price",
        ),
        (("release", "B1"), "Missing option '--reason'"),
        (("explain", "B1", "--run", "nowhere"), "nowhere: no journal there"),
        (("run", "--speed", "fast"), "--speed 'fast' is not allowed: a number above 0 and at most 1000000, or max"),
        (("run", "--from", "noon"), "--from 'noon' is no time: write it as 2014-05-08T12:30 (UTC)"),
        (("run", "--log", "xml"), "--log 'xml' is not allowed: json or console"),
        (("run", "--broker", "ibkr"), "brokers.use: 'ibkr' is not allowed; allowed: one of paper"),
        (("run", "--config", "nowhere"), "nowhere: is not a directory"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_touched(tmp_path, monkeypatch, words, said):
    monkeypatch.setattr("grodtd.monitoring.logs.capture_libraries", lambda *_: None)  # this process is not the daemon
    status, _, err = typed(*words, "--state", str(tmp_path / "state"))
    assert status == Exit.BAD_INPUT
    assert said in err.replace("\n", "")
    assert not (tmp_path / "state").exists()


# ---------------------------------------------------------------- a daemon that cannot start


def starting(folder, **more):
    """Start a daemon in this process, up to the error it must raise."""
    options = {"state": folder / "state", "socket": folder / "s", "journal": folder / "journal.db", **more}
    known = load(default_config_dir(), environ={})
    run_daemon(known, DaemonOptions(**options), make_logger(io.StringIO(), "json", Secrets()), lambda: None)


def written(path, text):
    path.write_text(text)
    return path


BARS = "time,open,high,low,close\n2020-01-01T00:00Z,1,2,1,2\n2020-01-01T00:01Z,1,2,1,2\n"


@pytest.mark.parametrize(
    ("name", "text", "error", "words"),
    [
        ("EURUSD.csv", None, DataError, "EURUSD.csv: cannot be read"),
        ("EURUSD.csv", "hello\n", DataError, "EURUSD.csv"),
        ("EURUSD.csv", BARS.replace("1,2,1,2\n2", "1,1,2,1\n2"), DataError, "EURUSD.csv:2: high 1 is below low 2"),
        ("DOGE.csv", BARS, ConfigError, "instruments.symbols.DOGE: is not listed"),
    ],
)
def test_a_feed_that_cannot_be_played_is_said_before_anything_is_touched(tmp_path, name, text, error, words):
    if text is not None:
        written(tmp_path / name, text)
    with pytest.raises(error, match=words):
        starting(tmp_path, feeds=(tmp_path / name,))
    assert not (tmp_path / "state").exists()


def test_a_state_folder_that_others_may_write_to_is_refused(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(ConfigError, match=r"others may write there: `chmod 700 .*/state`"):
        starting(tmp_path)


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path):
    written(tmp_path / "file", "")
    with pytest.raises(ConfigError, match="name another with --state"):
        starting(tmp_path, state=tmp_path / "file" / "state")


def test_another_daemon_on_the_same_state_is_named(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    lock = ExclusiveLock(tmp_path / "state" / "daemon", "that-host")
    try:
        with pytest.raises(JournalLocked, match=rf"in use by that-host \(process {os.getpid()}\)"):
            starting(tmp_path)
    finally:
        lock.release()


def test_a_paper_account_of_another_kind_is_not_traded(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    written(tmp_path / "state" / "paper-account.jsonl", '{"type":"account","profile":"perp","cash":"1"}\n')
    with pytest.raises(ConfigError, match=r"is a perp account, and brokers\.paper\.profile is margin"):
        starting(tmp_path)


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("x" * 120, ConfigError, "too long for a socket"),
        ("taken-by-a-file", ConfigError, "is there and no socket"),
        ("missing/s", ConfigError, "no socket can be made there"),
        ("alive", SocketTaken, "another daemon answers here"),
    ],
)
def test_a_socket_that_cannot_be_had_is_said_and_nothing_else_is_harmed(tmp_path, path, error, words):
    written(tmp_path / "taken-by-a-file", "keep me")
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(tmp_path / "alive"))
        alive.listen(1)
        with pytest.raises(error, match=words):
            starting(tmp_path, socket=tmp_path / path)
    assert (tmp_path / "taken-by-a-file").read_text() == "keep me"
    # Whoever was refused has let go of everything: the next one may start.
    lock = ExclusiveLock(tmp_path / "state" / "daemon", "next")
    lock.release()


def test_what_a_killed_daemon_left_behind_is_cleared_and_the_new_socket_is_private(tmp_path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    before = os.umask(0)
    try:
        server = SocketServer(None, path)
        server.bind()
    finally:
        os.umask(before)
    try:
        assert path.stat().st_mode & 0o777 == 0o600
    finally:
        server.close()
    assert not path.exists()


def test_the_socket_is_private_from_its_first_moment_on(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Path, "chmod", lambda path, mode: seen.append(path.stat().st_mode & 0o777))
    before = os.umask(0)
    try:
        server = SocketServer(None, tmp_path / "s")
        server.bind()
        server.close()
    finally:
        os.umask(before)
    assert seen == [0o600]


def test_a_socket_that_is_somebody_elses_by_now_is_left_alone(tmp_path):
    path = tmp_path / "s"
    server = SocketServer(None, path)
    server.bind()
    path.unlink()
    written(path, "the next one's")
    server.close()
    assert path.exists()


# ---------------------------------------------------------------- a journal that gives trouble


@pytest.fixture
def journal(tmp_path):
    """A small journal on disk."""
    path = tmp_path / "journal.db"
    with SyncJournal(path) as kept:
        kept.append([Record(1, 5, "fact", "", b"{}"), Record(2, 6, "fact", "B1", b"{}")])
    return path


def test_a_journal_is_verified_copied_and_put_aside(journal):
    status, out, _ = typed("journal", "verify", str(journal))
    assert (status, out.startswith("2 records, all intact")) == (0, True)
    assert typed("journal", "verify", "--state", str(journal.parent))[1].startswith(f"{journal}: 2 records, all intact")
    copy = journal.with_name("copy.db")
    assert typed("journal", "backup", str(journal), str(copy))[0] == 0
    assert json.loads(typed("journal", "verify", str(copy), "--json")[1])["records"] == 2
    status, _, err = typed("journal", "backup", str(journal), str(copy))
    assert (status, "a backup never overwrites" in err.replace("\n", "")) == (Exit.BAD_INPUT, True)
    status, out, _ = typed("journal", "set-aside", str(journal))
    assert (status, "is now" in out, journal.exists()) == (0, True, False)
    status, _, err = typed("journal", "set-aside", str(journal))
    assert (status, "there is no journal at" in err.replace("\n", " ")) == (Exit.FAILED, True)


def test_a_damaged_journal_names_the_record_and_the_commands_that_exist(journal, tmp_path):
    with sqlite3.connect(journal) as database:
        database.execute("UPDATE records SET payload = ? WHERE seq = 2", (b"{!}",))
    status, _, err = typed("journal", "verify", str(journal))
    assert status == Exit.FAILED
    with pytest.raises(JournalCorrupt, match="at record 2") as error:
        starting(tmp_path, journal=journal)
    assert f"`grodtd journal set-aside {journal}`" in str(error.value)
    assert f"`grodtd journal verify {journal}`" in str(error.value)
    assert "at record 2" in err
    assert typed("journal", "set-aside", str(journal))[0] == 0


# ---------------------------------------------------------------- a daemon that answers nonsense


def answering(path, reply):
    """Listen on `path`, and answer one request with `reply`, raw."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(2)

    def serve():
        while True:
            connection, _ = listener.accept()
            with connection:
                if connection.recv(65536):  # nothing: somebody only looked whether we are there
                    connection.sendall(reply)
                    break
        listener.close()

    Thread(target=serve, daemon=True).start()


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"", "hung_up"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "hung_up"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not_grodtd"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "not_grodtd"),
        (b"HTTP/1.1 418 Teapot\r\nContent-Length: 2\r\n\r\n{}", "unknown"),
        (b"SSH-2.0-OpenSSH\r\n", "hung_up"),
    ],
)
def test_whatever_answers_there_the_client_says_what_it_knows(tmp_path, reply, code):
    answering(tmp_path / "s", reply)
    with Client(tmp_path / "s") as client, pytest.raises(Problem) as error:
        client.status()
    assert error.value.code == code
    assert "Traceback" not in str(error.value)


def test_a_daemon_that_does_not_answer_is_not_waited_for_for_ever(tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen(2)
        with Client(tmp_path / "s", patience_s=0.05) as client, pytest.raises(Problem) as error:
            client.flatten("B1")
    assert (error.value.code, error.value.status) == ("no_answer", 504)
    assert "it may have acted: see status" in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_socket_of_another_user_is_named_as_such(tmp_path):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(tmp_path / "s"))
        other.listen(1)
        (tmp_path / "s").chmod(0)
        with Client(tmp_path / "s") as client, pytest.raises(NoDaemon, match="belongs to another user"):
            client.status()


# ---------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError(["a", "b"]), Exit.BAD_INPUT),
        (DataError("a"), Exit.BAD_INPUT),
        (GrodtdError("a"), Exit.FAILED),
        (OSError(28, "No space left on device", "f"), Exit.FAILED),
        (FileNotFoundError(2, "No such file", "f"), Exit.BAD_INPUT),
        (ModuleNotFoundError("x", name="uvicorn.config"), Exit.FAILED),
    ],
)
def test_each_kind_of_error_has_its_exit_status(error, status, capsys):
    with pytest.raises(Exception) as left, said_plainly():
        raise error
    assert left.value.exit_code == status
    assert capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "out: No space left on device; free space there"),
        (OSError(errno.EROFS, "Read-only file system", "a/b"), "a/b: Read-only file system; name a place that can"),
        (FileExistsError(errno.EEXIST, "File exists", "a"), "a: File exists; a file is in the way: name a folder"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a"), "a: no such file or directory"),
        (OSError("the venue is away"), "the venue is away"),
        (KeyboardInterrupt(), "stopped"),
    ],
)
def test_an_error_of_the_file_system_says_where_and_what_to_do(error, told, capsys):
    with pytest.raises(Exception), said_plainly(Path("out")):  # noqa: B017 - typer's own exit
        raise error
    assert capsys.readouterr().err.startswith(told)


def test_exit_statuses_never_change():
    assert {name: int(value) for name, value in Exit.__members__.items()} == {
        "DONE": 0,
        "FAILED": 1,
        "BAD_INPUT": 2,
        "NO_DAEMON": 3,
        "REFUSED": 4,
        "EXPOSED": 5,
    }


def test_a_missing_library_is_named_with_the_extra_that_brings_it(capsys):
    assert EXTRA_OF["uvicorn"] == "service"
    with pytest.raises(Exception), said_plainly():  # noqa: B017 - typer's own exit
        raise ModuleNotFoundError("no", name="polars")
    assert "polars is not installed: pip install 'grodtd[replay]'" in capsys.readouterr().err


def test_an_account_that_is_not_there_is_said_in_the_users_words(tmp_path):
    done = CliRunner().invoke(app, ["run", "--broker", "ibkr", "--state", str(tmp_path)])
    assert done.exit_code == 2
    assert "--broker: brokers.use: 'ibkr' is not allowed; allowed: one of paper" in done.stderr
    assert "GRODTD_" not in done.stderr


@pytest.mark.parametrize(
    ("facts", "words"),
    [(1, "compared: 1 fact, 0 of them news"), (7, "compared: 7 facts, 0 of them news")],
)
def test_a_comparison_counts_as_people_do(facts, words):
    found = {"complete": True, "facts": facts, "corrections": 0, "orphans": [], "positions": []}
    assert str(next(compared_lines(found))) == words


def test_a_password_in_the_journals_url_is_never_shown(tmp_path):
    url = "postgresql://grodtd:Vogel-geheim-17@127.0.0.1:1/journal"
    done = subprocess.run(
        [sys.executable, "-m", "grodtd", "run", "--state", str(tmp_path / "state"), "--journal", url],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=REPO,
        check=False,
    )
    assert done.returncode == 1
    assert "the database server cannot be reached" in done.stderr
    assert "geheim" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
