"""Every failure that a person can meet: what happened, why, and what to do next, under a stable code.

The table `KINDS` is the whole list. `docs/errors/CODE.md` explains each code; a test holds table and pages together
and fails for a code that nothing raises. The native core uses the same codes in `NativeError(code, message)`.
"""

from dataclasses import dataclass
from typing import Any, Final

__all__ = ["KINDS", "ErrorKind", "MohhosError", "from_native"]


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """What all errors of one code share: the HTTP status (RFC 9110) and the title of the problem (RFC 9457)."""

    status: int
    title: str


KINDS: Final[dict[str, ErrorKind]] = {
    # configuration
    "config-missing": ErrorKind(500, "The configuration file cannot be read"),
    "config-syntax": ErrorKind(500, "The configuration file is not TOML"),
    "config-unknown-key": ErrorKind(500, "The configuration has a key that means nothing"),
    "config-wrong-type": ErrorKind(500, "A configuration value has the wrong type"),
    "config-out-of-range": ErrorKind(500, "A configuration value is not allowed"),
    "config-anonymous": ErrorKind(500, "A listener would let anybody in"),
    "config-transport": ErrorKind(500, "A listener's transport is not described as a whole"),
    # data directory
    "data-dir-unusable": ErrorKind(500, "The data directory cannot be used"),
    "data-dir-locked": ErrorKind(500, "Another gateway runs on this data directory"),
    "data-dir-newer": ErrorKind(500, "The data was written by a newer version"),
    "gateway-key-damaged": ErrorKind(500, "The gateway key cannot be used"),
    "storage-damaged": ErrorKind(500, "The registry database is damaged"),
    "storage-failed": ErrorKind(503, "The registry database does not take writes"),
    "storage-closed": ErrorKind(503, "The gateway is stopping"),
    "backup-failed": ErrorKind(503, "The backup was not written"),
    "backup-unusable": ErrorKind(422, "The file is no backup that can be restored"),
    # devices
    "device-unknown": ErrorKind(404, "There is no such device"),
    "device-exists": ErrorKind(409, "The device exists already"),
    "device-id-invalid": ErrorKind(422, "This cannot be a device id"),
    "device-invalid": ErrorKind(422, "The device's description is not usable"),
    "device-changed": ErrorKind(412, "The device was changed meanwhile"),
    "device-has-children": ErrorKind(409, "The device speaks for others"),
    "cursor-invalid": ErrorKind(400, "The cursor is not one of this list"),
    # commands
    "command-unknown": ErrorKind(404, "There is no such command"),
    "command-invalid": ErrorKind(422, "The command is not usable"),
    "projection-behind": ErrorKind(503, "The log is ahead of the registry"),
    # alerts
    "alert-unknown": ErrorKind(404, "There is no such alert"),
    "alert-resolved": ErrorKind(409, "The alert is resolved already"),
    # rules
    "rule-syntax": ErrorKind(422, "The text is not of the rule language"),
    "rule-reserved": ErrorKind(422, "A reserved word is used as a name"),
    "rule-unsupported": ErrorKind(422, "This version does not run that part of Flink SQL"),
    "rule-table": ErrorKind(422, "The table is unknown or wrongly declared"),
    "rule-column": ErrorKind(422, "The column is not available here"),
    "rule-function": ErrorKind(422, "The function is unknown or wrongly called"),
    "rule-type": ErrorKind(422, "The types do not fit"),
    "rule-unsafe": ErrorKind(422, "Flink would run this wrongly or die of it"),
    "rule-sink": ErrorKind(422, "The result does not fit the table it goes into"),
    "rule-window": ErrorKind(422, "The window is not of a supported form"),
    "rule-too-large": ErrorKind(422, "The rule is too long or nested too deeply"),
    "rule-name": ErrorKind(422, "The name is not usable"),
    "rule-engine": ErrorKind(422, "The native engine refused the rule"),
    "rule-unknown": ErrorKind(404, "There is no such rule"),
    "table-unknown": ErrorKind(404, "There is no such table"),
    "table-in-use": ErrorKind(409, "Rules use the table"),
    # identity
    "name-taken": ErrorKind(409, "The name is taken"),
    "name-invalid": ErrorKind(422, "The name is not usable"),
    "application-unknown": ErrorKind(404, "There is no such application"),
    "password-weak": ErrorKind(422, "The password is too easy to guess"),
    "role-unknown": ErrorKind(404, "There is no such role"),
    "role-invalid": ErrorKind(422, "The role is not usable"),
    "role-in-use": ErrorKind(409, "The role is in use"),
    "principal-unknown": ErrorKind(404, "Nobody signs in with that name"),
    "state-invalid": ErrorKind(422, "The state of the device is not usable"),
    "operator-unknown": ErrorKind(404, "There is no such operator token"),
    "scope-invalid": ErrorKind(422, "There is no such scope"),
    "token-invalid": ErrorKind(401, "The token is not valid"),
    "scope-missing": ErrorKind(403, "The token does not allow this"),
    "session-invalid": ErrorKind(401, "The session is over"),
    "csrf-invalid": ErrorKind(403, "The request did not come from the page"),
    # history
    "query-invalid": ErrorKind(422, "The query cannot be run"),
    "query-timeout": ErrorKind(408, "The query took too long"),
    "query-unavailable": ErrorKind(503, "The history gave no answer"),
    # requests
    "request-invalid": ErrorKind(400, "The request is not usable"),
    "path-unknown": ErrorKind(404, "There is nothing at this address"),
    "method-not-allowed": ErrorKind(405, "The address does not know this method"),
    "token-missing": ErrorKind(401, "No token was given"),
    "trace-unknown": ErrorKind(404, "The device is not traced"),
    "trace-limit": ErrorKind(409, "Enough devices are traced already"),
    "command-timeout": ErrorKind(408, "The device has not answered"),
    "gateway-unreachable": ErrorKind(503, "No gateway answers"),
    "recording-invalid": ErrorKind(422, "The recording or its map is not usable"),
    "replay-interrupted": ErrorKind(503, "The replay ended early"),
    "api-port-taken": ErrorKind(500, "The API cannot listen on its address"),
    # native
    "listener-unavailable": ErrorKind(500, "An MQTT listener cannot use its address"),
    "tls-file-unreadable": ErrorKind(500, "A file of a listener's TLS cannot be read"),
    "tls-key-exposed": ErrorKind(500, "Other users may read a private key"),
    "tls-file-invalid": ErrorKind(500, "A file of a listener's TLS is of no use"),
    "tls-reload-failed": ErrorKind(503, "New certificates are not in use"),
    "system-refused": ErrorKind(500, "The operating system refused what the gateway needs"),
    "sessions-checkpoint": ErrorKind(500, "The sessions' checkpoint cannot be used"),
    "log-unusable": ErrorKind(500, "The log cannot be opened"),
    "dictionary-unusable": ErrorKind(500, "The dictionary of metrics cannot be used"),
    "history-unusable": ErrorKind(500, "The history cannot be used"),
    "open-files-exhausted": ErrorKind(503, "No more connections fit into the open-files limit"),
    "log-unwritable": ErrorKind(500, "The log's end could not be written"),
    "log-stalled": ErrorKind(503, "The log waits for the disk"),
    "log-untidy": ErrorKind(500, "Old parts of the log were not removed"),
    "log-damaged": ErrorKind(500, "Parts of the log cannot be read"),
    "log-short": ErrorKind(503, "Old parts of the log went early, for the disk is full"),
    "history-stalled": ErrorKind(503, "The history waits for the disk"),
    "history-untidy": ErrorKind(500, "Old files of the history were not removed or merged"),
    "rules-not-saved": ErrorKind(503, "The state of the rules is not saved"),
    "rules-not-restored": ErrorKind(500, "The state of the rules was lost"),
    "log-unreadable": ErrorKind(500, "The log cannot be read"),
    "log-full": ErrorKind(503, "The log takes nothing more"),
    "invalid-argument": ErrorKind(422, "A topic or a role is not valid"),
    "hub-stopped": ErrorKind(503, "The gateway is stopping"),
    "hub-died": ErrorKind(500, "A thread of the hub has died"),
    "native-failed": ErrorKind(500, "The native gateway failed"),
}


class MohhosError(Exception):
    """A failure for a person to read.

    `what` happened, `why` it happened, and what to do about it (`next_step`). `fields` are facts for programs (RFC 9457
    extension members). Raises KeyError for a code that is not in the table: that is a mistake of the programmer.
    """

    def __init__(self, code: str, what: str, why: str, next_step: str, **fields: Any) -> None:
        self.kind = KINDS[code]
        self.code = code
        self.what = what
        self.why = why
        self.next_step = next_step
        self.fields = fields
        super().__init__(f"{what}: {why}. {next_step}. [{code}]")

    @property
    def status(self) -> int:
        """The HTTP status that this error is answered with."""
        return self.kind.status

    def problem(self, instance: str = "") -> dict[str, Any]:
        """The error as RFC 9457 problem details."""
        details: dict[str, Any] = {
            **self.fields,
            "type": f"/errors/{self.code}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": f"{self.what}: {self.why}.",
            "code": self.code,
            "next_step": self.next_step,
        }
        if instance:
            details["instance"] = instance
        return details


def from_native(error: Exception, next_step: str = "Look the code up in docs/errors") -> MohhosError:
    """A `NativeError(code, message)` as an error of this table.

    Takes any exception, so that nothing here imports the native module.
    """
    code, message = (str(a) for a in error.args[:2]) if len(error.args) >= 2 else ("", str(error))
    code = code.replace("_", "-")
    known = code if code in KINDS else "native-failed"
    why = message if known == code or not code else f"{message} ({code})"
    return MohhosError(known, KINDS[known].title, why, next_step)
