"""Every setting, read once from the environment and `.env`. `.env.example` explains each; a test compares the two.

A wrong setting is a SetupError that names it, before anything starts.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agent_core.errors import SetupError
from agent_core.site import Origin

OPENAI = "https://api.openai.com/v1"
#: Used when a key is given and no model named.
DEFAULT_MODEL = "gpt-5.6-luna"
DEMO_TEAM = Path(__file__).parent / "demo" / "team.yaml"


class Settings(BaseSettings):
    """Frozen. Durations in seconds, sizes in bytes, unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="PARLEY_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    # where things are kept
    database_url: str = "sqlite:///var/parley.db"
    team_file: Path = DEMO_TEAM
    tools_database: Path = Path("var/telecom.db")

    # the model
    openai_api_key: SecretStr | None = Field(None, validation_alias=AliasChoices("openai_api_key", "OPENAI_API_KEY"))
    openai_base_url: str | None = Field(None, validation_alias=AliasChoices("openai_base_url", "OPENAI_BASE_URL"))
    model: str | None = None
    model_api: Literal["responses", "chat"] | None = None
    demo_pace_ms: int = Field(25, ge=0, le=1000)

    # the server
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    secret: SecretStr | None = None  # signs visitors' tokens; made and kept beside the database when absent
    operator_token: SecretStr | None = None
    service_token: SecretStr | None = None
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    picture_origins: Annotated[tuple[Origin, ...], NoDecode] = ()  # whose pictures the widget may show
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1", "::1")
    environment: Literal["development", "production"] = "development"

    # voice
    livekit_url: str | None = None
    livekit_api_key: str | None = None
    livekit_api_secret: SecretStr | None = None
    voice_worker_url: str = "http://127.0.0.1:8081"
    voice_server_url: str = "http://127.0.0.1:8000"  # where the worker finds the server
    voice_second_device: Literal["take_over", "refuse"] = "take_over"
    voice_speech: Literal["auto", "openai", "embedded"] = "auto"
    voice_stt_model: str = "gpt-4o-mini-transcribe"
    voice_tts_model: str = "gpt-4o-mini-tts"
    voice_realtime_model: str = "gpt-realtime"
    voice_gate: Literal["on", "off"] = "on"  # off: every mode is offered that the team names, measured or not
    voice_calls: int = Field(8, ge=1)  # at once, of one worker
    voice_call_minutes: float = Field(30, gt=0)  # then it goes on in writing

    # limits
    max_active_turns: int = Field(400, ge=1)
    max_streams: int = Field(2000, ge=1)
    turn_seconds: float = Field(120, gt=0)
    model_silence_seconds: float = Field(60, gt=0)
    lease_seconds: float = Field(15, gt=0.5)
    history_items: int = Field(160, ge=4)
    max_steps: int = Field(20, ge=1)
    approval_seconds: float = Field(900, gt=0, le=900)
    new_visitors_per_hour: int = Field(120, ge=1)  # of an address
    conversations_per_hour: int = Field(30, ge=1)  # of a visitor
    messages_per_minute: int = Field(30, ge=1)  # of a visitor
    reads_per_minute: int = Field(300, ge=1)  # of a visitor
    visitor_streams: int = Field(8, ge=1)
    address_streams: int = Field(200, ge=1)

    @field_validator("allowed_origins", "picture_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(v.strip().rstrip("/") for v in value.split(",") if v.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        names = tuple(v.strip() for v in value.split(",") if v.strip()) if isinstance(value, str) else value
        for name in names:
            ip_network(name)  # raises ValueError
        return names

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        scheme = value.split(":", 1)[0].split("+", 1)[0]
        if scheme not in ("sqlite", "postgresql", "postgres"):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value

    @field_validator("openai_base_url")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        if value is not None and "@" in urlsplit(value).netloc:  # it is shown, and logged
            raise ValueError("no name and password in it: a key goes into OPENAI_API_KEY")
        return value.rstrip("/") if value else value

    @field_validator("livekit_url")
    @classmethod
    def _a_socket(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("ws://", "wss://")):
            raise ValueError("must begin with ws:// or wss://")
        return value

    @property
    def voice(self) -> bool:
        """There is a media server for calls."""
        return self.livekit_url is not None

    @property
    def embedded_speech(self) -> bool:
        """The voice and the ear that come with Parley: English, and no key is needed."""
        return self.voice_speech == "embedded" or (self.voice_speech == "auto" and self.openai_api_key is None)

    @property
    def demo(self) -> bool:
        """No key and no server of one's own: the embedded demo model answers."""
        return self.openai_api_key is None and self.openai_base_url is None

    @property
    def text_model(self) -> str:
        """Of agents that name none."""
        return "demo" if self.demo else self.model or DEFAULT_MODEL

    @property
    def api(self) -> Literal["responses", "chat"]:
        """OpenAI itself speaks Responses; servers compatible with it agree on Chat Completions alone."""
        if self.model_api:
            return self.model_api
        return "responses" if self.openai_base_url in (None, OPENAI) else "chat"

    @property
    def sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


def read_settings(**overrides: Any) -> Settings:
    """Raises SetupError with the name of the environment variable and what to do."""
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise SetupError(_variable(name), f"{first['msg']} (see .env.example)") from None
    _check(settings)
    return settings


def _variable(field: str) -> str:
    return field.upper() if field.upper().startswith("OPENAI_") else f"PARLEY_{field.upper()}"


def _check(s: Settings) -> None:
    if s.openai_base_url and s.openai_base_url != OPENAI and not s.model:
        raise SetupError("PARLEY_MODEL", "OPENAI_BASE_URL is set: name the model that this server should use")
    if s.livekit_url is not None:
        for name in ("livekit_api_key", "livekit_api_secret", "service_token"):
            if getattr(s, name) is None:
                raise SetupError(_variable(name), "PARLEY_LIVEKIT_URL is set: voice needs this one, too")
    if not s.team_file.is_file():
        raise SetupError("PARLEY_TEAM_FILE", f"there is no file {s.team_file}")
    if s.environment == "production":
        for name in ("secret", "operator_token"):
            token = getattr(s, name)
            if token is None or len(token.get_secret_value()) < 32:
                raise SetupError(
                    _variable(name), "production needs one of at least 32 characters: openssl rand -hex 32"
                )
        if "*" in s.allowed_origins:
            raise SetupError("PARLEY_ALLOWED_ORIGINS", "name each origin; production does not take *")
