"""How LiveKit's session is set up. Three of its defaults would break the core's promises, and are off:

- preemptive generation runs a turn before the customer has finished: a ghost turn, with its tools, stays in the log;
- retries of the language model would say the customer's words and run the tools once more;
- the session host lets anybody in the room read the prompt and drive the agent.

Recording is off, too: it uploads what was said to LiveKit's cloud.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from livekit.agents import APIConnectOptions
from livekit.agents.voice.agent_session import SessionConnectOptions

#: For `AgentSession.start`.
STARTING: dict[str, Any] = {"session_host": False, "record": False}


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """When the customer has finished, and when they break in. Seconds."""

    detection: Literal["vad", "stt", "realtime_llm", "manual"] = "vad"
    min_delay: float = 0.4
    max_delay: float = 2.5
    interruption: float = 0.4
    closing: float = 1.0  # how long the last words are waited for when the call ends


def session_options(turns: TurnTaking) -> dict[str, Any]:
    """For `AgentSession(...)`, whatever the mode."""
    return {
        "vad": None,  # each agent brings its own; LiveKit would load one
        "turn_handling": {
            "turn_detection": turns.detection,
            "endpointing": {"mode": "fixed", "min_delay": turns.min_delay, "max_delay": turns.max_delay},
            "preemptive_generation": {"enabled": False},
            "interruption": {
                "mode": "vad",  # the other one may ask LiveKit's cloud
                "min_duration": turns.interruption,
                "resume_false_interruption": False,  # it loses what was heard before the pause
            },
        },
        "conn_options": SessionConnectOptions(
            stt_conn_options=APIConnectOptions(max_retry=1, retry_interval=0.3, timeout=6),
            llm_conn_options=APIConnectOptions(max_retry=0),
            tts_conn_options=APIConnectOptions(max_retry=1, retry_interval=0.3, timeout=6),
            # What speech can't be had for falls back by `session.py`; LiveKit would close, without a word.
            max_unrecoverable_errors=1000,
        ),
        "user_away_timeout": None,
        "session_close_transcript_timeout": turns.closing,
    }
