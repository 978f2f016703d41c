"""Every error that Beffroi raises on purpose; pure, imports nothing of ours.

BeffroiError                 exit code 1: its text is shown to the person, never a traceback
├── BadSetting               exit code 2: a setting or an argument is wrong
│   ├── PortInUse            names the port and the setting that moves it
│   └── BadExpression        a condition of an operator cannot be read (devices/bad_expression.py)
├── AlreadyRunning           a second hub on the same home
├── UnsupportedMachine       the embedded runtime cannot be made here; says what to set
├── BadFile                  a file of the user (devices, recording) cannot be read
├── Unavailable              a server that we need does not answer
│   ├── DatabaseUnavailable
│   └── BrokerUnavailable
└── LogError
    ├── LogReplaced          the log is not the one that its readers know
    ├── LogGap               it is, but does not hold the place where a reader is to go on
    └── LogMoved             a log's folder was removed or replaced while a process had it open
"""


class BeffroiError(Exception):
    """What went wrong, where, and what to do about it, in one sentence."""

    exit_code = 1


class BadSetting(BeffroiError):
    """A setting or an argument is wrong."""

    exit_code = 2


class PortInUse(BadSetting):
    """A port that the hub wants to listen on is taken."""

    def __init__(self, port: int, setting: str) -> None:
        super().__init__(f"port {port} is in use; free it or set {setting} to another port")


class AlreadyRunning(BeffroiError):
    """A hub already runs on this home."""


class UnsupportedMachine(BeffroiError):
    """The embedded runtime cannot be made on this machine."""


class BadFile(BeffroiError):
    """A file given by the user cannot be read."""


class Unavailable(BeffroiError):
    """A server that the hub needs does not answer."""


class DatabaseUnavailable(Unavailable):
    """The database does not answer."""


class BrokerUnavailable(Unavailable):
    """The broker does not answer or refuses the account."""


class LogError(BeffroiError):
    """The log cannot be used as it is."""


class LogReplaced(LogError):
    """The log is not the one that its readers know."""


class LogGap(LogError):
    """The log does not hold the place where a reader is to go on."""


class LogMoved(LogError):
    """A log's folder was removed or replaced while a process had it open."""
