"""The voice and the ear that come with Parley, in English, on one core and without a network.

The voice is hibari-tts (Apache-2.0). The ear is Moonshine base-en (MIT): its weights lie in the wheel of moonshine-cpp,
whose own code is not used, for it keeps 36 MB of each utterance. onnxruntime runs them.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectOptions, stt, tts, utils
from livekit.agents.language import LanguageCode
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

VOICE_RATE, EAR_RATE = 24_000, 16_000


def to_be_had() -> str | None:
    """None when both parts are installed; else the name of the one that is not."""
    for module in ("hibari", "moonshine_cpp", "onnxruntime"):
        if importlib.util.find_spec(module) is None:
            return module
    return None


class Moonshine:
    """Speech to text, of one utterance: 16 kHz mono samples from -1 to 1 in, words out."""

    LAYERS, HEADS, WIDTH = 8, 8, 52
    BEGIN, END = 1, 2
    TOKENS_PER_SECOND = 6.5

    def __init__(self) -> None:
        import onnxruntime as ort

        spec = importlib.util.find_spec("moonshine_cpp")
        assert spec is not None
        assert spec.origin is not None
        folder = Path(spec.origin).parent / "models" / "base-en"
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # more are slower on a shared machine
        options.enable_mem_pattern = False
        names = ("encoder_model.ort", "decoder_model_merged.ort")
        self._encoder, self._decoder = (
            ort.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"]) for name in names
        )
        self._words = _vocabulary((folder / "tokenizer.bin").read_bytes())
        self._memory = [
            f"past_key_values.{layer}.{side}.{part}"
            for layer in range(self.LAYERS)
            for side in ("decoder", "encoder")
            for part in ("key", "value")
        ]

    def hear(self, samples: np.ndarray) -> str:
        hidden = self._encoder.run(None, {"input_values": samples[None].astype(np.float32)})[0]
        memory = {name: np.zeros((1, self.HEADS, 0, self.WIDTH), np.float32) for name in self._memory}
        token, tokens, later = self.BEGIN, [], False
        for _ in range(max(6, int(len(samples) / EAR_RATE * self.TOKENS_PER_SECOND))):
            inputs = {"input_ids": np.array([[token]]), "encoder_hidden_states": hidden, **memory}
            out = self._decoder.run(None, {**inputs, "use_cache_branch": np.array([later])})
            token = int(out[0][0, -1].argmax())
            if token == self.END:
                break
            tokens.append(token)
            for name, value in zip(self._memory, out[1:], strict=True):
                if not later or ".decoder." in name:  # the encoder's part is computed once
                    memory[name] = value
            later = True
        return self._text(tokens)

    def _text(self, tokens: list[int]) -> str:
        pieces = [self._words[token] for token in tokens if token > self.END]
        raw = b"".join(bytes([int(piece[3:5], 16)]) if piece.startswith(b"<0x") else piece for piece in pieces)
        return raw.decode("utf-8", "replace").replace("\u2581", " ").strip()


def _vocabulary(raw: bytes) -> list[bytes]:
    """Pieces, each after its length in one or two bytes."""
    words, place = [], 0
    while place < len(raw):
        length = raw[place]
        place += 1
        if length >= 128:
            length += raw[place] * 128 - 128
            place += 1
        words.append(raw[place : place + length])
        place += length
    return words


#: The voice is not known to bear two calls at once; it takes 20 ms a sentence.
_SPEAKING_ALONE = Lock()
#: The ear bears it, but keeps 300 MB for each that it has ever heard at once. So they wait for each other, and not in the
#: threads that everything else runs in.
_LISTENING_ALONE = ThreadPoolExecutor(1, "ear")


@cache
def ear() -> Moonshine:
    return Moonshine()


@cache
def voice() -> Any:
    from hibari import Hibari

    return Hibari()


async def heard(work: Callable[[], str]) -> str:
    """One after the other, whatever loop it is asked for in."""
    return await asyncio.get_running_loop().run_in_executor(_LISTENING_ALONE, work)


class EmbeddedSTT(stt.STT):
    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))

    @property
    def model(self) -> str:
        return "moonshine-base-en"

    @property
    def provider(self) -> str:
        return "embedded"

    async def _recognize_impl(self, buffer: utils.AudioBuffer, **_: Any) -> stt.SpeechEvent:
        text = await heard(lambda: ear().hear(samples(buffer)))
        data = stt.SpeechData(language=LanguageCode("en"), text=text, confidence=1.0)
        return stt.SpeechEvent(stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[data])


def samples(buffer: utils.AudioBuffer) -> np.ndarray:
    frame = rtc.combine_audio_frames(buffer) if isinstance(buffer, list) else buffer
    values = np.frombuffer(frame.data, np.int16).astype(np.float32) / 32768
    return resampled(values, frame.sample_rate, EAR_RATE)


def resampled(values: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    if rate == wanted:
        return values
    count = int(len(values) * wanted / rate)
    return np.interp(np.arange(count) * rate / wanted, np.arange(len(values)), values).astype(np.float32)


class EmbeddedTTS(tts.TTS):
    def __init__(self) -> None:
        capabilities = tts.TTSCapabilities(streaming=False)
        super().__init__(capabilities=capabilities, sample_rate=VOICE_RATE, num_channels=1)

    @property
    def model(self) -> str:
        return "hibari"

    @property
    def provider(self) -> str:
        return "embedded"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Speaking(tts=self, input_text=text, conn_options=conn_options)


class _Speaking(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(), sample_rate=VOICE_RATE, num_channels=1, mime_type="audio/pcm"
        )
        output_emitter.push(await asyncio.to_thread(spoken, self.input_text))
        output_emitter.flush()


def spoken(text: str) -> bytes:
    """16-bit samples at VOICE_RATE."""
    with _SPEAKING_ALONE:
        values = np.asarray(voice()(text))
    return (np.clip(values, -1, 1) * 32767).astype(np.int16).tobytes()
