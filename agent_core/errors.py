"""What can go wrong in a conversation: whose turn it is, and what may be said aloud.

    ParleyError
    ├── CallerError           the request is wrong; the caller changes it
    │   ├── NotFound          absent, or not yours: the two look alike
    │   ├── Conflict          it was right once; look again and decide anew
    │   ├── Invalid           a field is wrong; `field` names it
    │   ├── Refused           who asks is known too little, or asks from the wrong place
    │   └── Overloaded        come back after `retry_after` seconds
    │       └── TooMany       this one asks too often; the others may go on
    ├── ModelError            the model's provider; the turn ends, its words so far are kept
    │   ├── ModelUnavailable  down, refusing, or too busy, after all retries
    │   ├── ModelMisconfigured the key, the address or the model's name; the owner acts
    │   ├── AnswerCut         the stream ended in the middle of an answer
    │   ├── AnswerStalled     nothing more came
    │   ├── AnswerTruncated   the model's length limit
    │   └── AnswerFiltered    the provider withheld the rest
    ├── ToolError             a tool or its server; the model is told, and goes on
    │   ├── ToolUnavailable   its server is down or its breaker open
    │   └── ToolTimedOut      no answer in time; what it did is not known
    ├── TurnError             the turn itself
    │   ├── Fenced            somebody else owns the turn now; this writer stops
    │   └── TooManySteps      the model kept calling tools
    └── SetupError            configuration; `setting` names it; the owner acts

`status` is a hint for HTTP; `code` is the stable name on the wire; `aloud` is English, and `refusal_lines.said_in` says
it in the customer's language. Any other exception is a bug.
"""

from __future__ import annotations


class ParleyError(Exception):
    code = "error"
    status = 500
    #: Seconds after which asking again may help, where that can be said.
    retry_after: float | None = None
    aloud = "Something went wrong on our side. Please try again."

    def __init__(self, message: str = "", *, aloud: str | None = None) -> None:
        super().__init__(message or aloud or self.aloud)
        if aloud is not None:
            self.aloud = aloud


class CallerError(ParleyError):
    code, status = "bad_request", 400
    aloud = "That request could not be understood."


class NotFound(CallerError):
    code, status = "not_found", 404
    aloud = "There is no such thing here."


class Conflict(CallerError):
    code, status = "conflict", 409
    aloud = "This was already settled."


class Invalid(CallerError):
    code, status = "invalid", 422

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}", aloud=message)
        self.field = field


class Overloaded(CallerError):
    code, status = "overloaded", 503
    aloud = "Many people are writing at once. Please try again in a moment."

    def __init__(self, message: str = "", *, retry_after: float = 2.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooMany(Overloaded):
    code, status = "too_many", 429
    aloud = "That was a lot at once. Please wait a moment and try again."


class Refused(CallerError):
    """`code` says what for."""

    status = 403

    def __init__(self, code: str, aloud: str, *, status: int = 403, field: str | None = None) -> None:
        super().__init__(code, aloud=aloud)
        self.code, self.status, self.field = code, status, field


class ModelError(ParleyError):
    code, status = "model_error", 502
    #: How the half-said answer is stored: interrupted, truncated or filtered.
    leaves = "interrupted"


class ModelUnavailable(ModelError):
    code, status = "model_unavailable", 503
    aloud = "I can't think right now: the language model does not answer. Please try again in a minute."


class ModelMisconfigured(ModelError):
    code = "model_misconfigured"
    aloud = "I am not set up correctly yet. The owner of this page has to look at the model's settings."


class AnswerCut(ModelError):
    code = "answer_cut"
    aloud = "My answer was cut off. Say “continue” and I go on."


class AnswerStalled(AnswerCut):
    code = "answer_stalled"


class AnswerTruncated(ModelError):
    code, leaves = "answer_truncated", "truncated"
    aloud = "My answer became too long. Say “continue” and I go on."


class AnswerFiltered(ModelError):
    code, leaves = "answer_filtered", "filtered"
    aloud = "I can't say the rest of that."


class ToolError(ParleyError):
    code, status = "tool_error", 502
    aloud = "That did not work."

    def __init__(self, message: str = "", *, aloud: str | None = None, outcome_unknown: bool = False) -> None:
        super().__init__(message, aloud=aloud)
        #: The call may have been carried out, although no answer came.
        self.outcome_unknown = outcome_unknown


class ToolUnavailable(ToolError):
    code, status = "tool_unavailable", 503
    aloud = "That is out of order at the moment."


class ToolTimedOut(ToolError):
    code, status = "tool_timed_out", 504
    aloud = "That took too long."


class TurnError(ParleyError):
    code = "turn_error"


class Fenced(TurnError):
    code, status = "fenced", 409


class TooManySteps(TurnError):
    code = "too_many_steps"
    aloud = "That took me too many steps. Could you ask for one thing at a time?"


class SetupError(ParleyError):
    code = "setup"

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(f"{setting}: {message}")
        self.setting = setting
