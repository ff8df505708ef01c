"""A customer who talks: Chromium with a file for a microphone, and an ear at the page's loudspeaker."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import numpy as np
from playwright.async_api import Browser, Frame, Locator, async_playwright, expect

from tests.browser.panel import Panel, until
from tests.browser.stage import ARGUMENTS, CHROMIUM
from voice import embedded

RATE = 48_000
#: As much as the end of a sentence needs to be heard as one.
SILENCE = 1.0
CALL_MS = 90_000
#: A sentence and its transcript take a fourth of it.
HEARD_MS, ATTEMPTS = 20_000, 3
#: Who asked for the microphone, and which are open. What would clean the sound is off: it is clean.
WATCHED = """
window.microphones = [];
const ask = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
if (ask) navigator.mediaDevices.getUserMedia = async ({ audio }) => {
  const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  const stream = await ask({ audio: { ...audio, ...plain } });
  window.microphones.push(...stream.getTracks());
  return stream;
};
"""
#: All captions of the agent's words, as they grew.
CAPTIONED = """bar => {
  const all = (window.captions = []);
  const look = () => {
    const now = bar.renderRoot.querySelector(".captions .agent")?.textContent;
    if (now) all.push(now);
  };
  new MutationObserver(look).observe(bar.renderRoot, { subtree: true, childList: true, characterData: true });
}"""
RECORD = """audio => {
  const recorder = (window.recorder = new MediaRecorder(audio.srcObject));
  const pieces = [];
  recorder.ondataavailable = (event) => pieces.push(event.data);
  window.recorded = new Promise((done) => {
    recorder.onstop = () => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result);
      reader.readAsDataURL(new Blob(pieces));
    };
  });
  recorder.start();
}"""


class Microphone:
    """The file. Chromium reads it anew whenever the microphone is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_silent()

    def is_silent(self) -> None:
        self.write(np.zeros(RATE, np.int16))

    def write(self, samples: np.ndarray) -> None:
        whole = io.BytesIO()
        with wave.open(whole, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(samples.tobytes())
        self.path.write_bytes(whole.getvalue())

    def holds(self, text: str) -> None:
        said = np.frombuffer(embedded.spoken(text), np.int16).astype(np.float32)
        pause = np.random.default_rng(0).integers(-8, 8, int(RATE * SILENCE), dtype=np.int16)
        pcm = embedded.resampled(said, embedded.VOICE_RATE, RATE).astype(np.int16)
        self.write(np.concatenate([pause[: RATE * 2 // 3], pcm, pause]))


@asynccontextmanager
async def talking_browser(microphone: Microphone) -> AsyncIterator[Browser]:
    arguments = [
        *ARGUMENTS,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone.path}%noloop",
        "--allow-loopback-in-peer-connection",
    ]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        await browser.close()


class Caller:
    """In a chat; whoever opens their microphone has nothing to say yet."""

    def __init__(self, panel: Panel, microphone: Microphone) -> None:
        self.panel, self.microphone = panel, microphone
        microphone.is_silent()
        self.bar = panel.root.locator("parley-call")
        self.mute = panel.button("Mute")

    @property
    def word(self) -> Locator:
        """What the call is doing."""
        return self.bar.locator(".word")

    @property
    def frame(self) -> Frame:
        return next(frame for frame in self.panel.page.frames if "/widget/" in frame.url)

    async def calls(self) -> None:
        """For the first time in this browser; muted, until something is to be said."""
        await self.panel.button("Talk with us").click()
        await self.agrees()
        await self.mutes()

    async def agrees(self) -> None:
        await self.panel.button("Start talking").click()
        await expect(self.word).to_have_text("Listening", timeout=CALL_MS)
        await self.bar.evaluate(CAPTIONED)

    async def mutes(self) -> None:
        await self.mute.click()
        await expect(self.mute).to_have_attribute("aria-pressed", "true")

    async def says(self, text: str, understood: str) -> None:
        """Until it stands in the thread as spoken, so that this pattern is found in it; muted again then.

        Who is misheard says it again: on a busy machine a microphone stutters.
        """
        spoken = self.panel.messages("user").filter(has_text="spoken")
        heard = spoken.filter(has_text=re.compile(understood, re.IGNORECASE))
        before = await heard.count()
        for attempt in range(ATTEMPTS):
            await self.answers(text)
            try:
                await expect(heard).to_have_count(before + 1, timeout=HEARD_MS)
            except AssertionError:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                return
            finally:
                await self.mutes()

    async def answers(self, text: str) -> None:
        """What may be no message: a yes, say."""
        await asyncio.to_thread(self.microphone.holds, text)
        await self.mute.click()
        await expect(self.mute).to_have_attribute("aria-pressed", "false")

    async def hears(self, words: str) -> None:
        """They are being said, and their caption is read."""
        await until(
            self.panel.chat, f"window.captions.some(text => text.includes({json.dumps(words)}))", CALL_MS / 1000
        )
        await self.bar.evaluate("() => { window.captions.length = 0; }")

    async def hears_to_the_end(self, words: str) -> None:
        """Nobody speaks any more then."""
        await self.hears(words)
        await expect(self.word).to_have_text(re.compile("You are muted|Listening"), timeout=CALL_MS)

    async def microphones(self, state: str) -> int:
        """How many were opened in this page and are "live" now, or "ended"."""
        count = await self.frame.evaluate("s => window.microphones.filter(m => m.readyState === s).length", state)
        return int(count)

    async def records(self) -> None:
        await self.frame.locator("body > audio").evaluate(RECORD)

    async def heard(self) -> str:
        """All that came out of the loudspeaker since, by the ear that comes with Parley."""
        url = await self.frame.evaluate("() => { window.recorder.stop(); return window.recorded; }")
        return await asyncio.to_thread(transcript, base64.b64decode(url.partition(",")[2]))


def transcript(recording: bytes) -> str:
    with av.open(io.BytesIO(recording), "r") as file:
        resampler = av.AudioResampler("s16", "mono", embedded.EAR_RATE)
        frames = [f for frame in file.decode(audio=0) for f in resampler.resample(frame)]
    values = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    loud = np.flatnonzero(np.abs(values) > 200)
    assert len(loud), "nothing was to be heard"
    sound = values[max(0, loud[0] - 1600) : loud[-1] + 1600].astype(np.float32) / 32768
    return embedded.ear().hear(sound)


def word_errors(said: str, heard: str) -> float:
    """Of the words that were said, the share that were heard as others, or not, or besides."""
    wanted, got = (re.findall(r"[\w']+", text.casefold()) for text in (said, heard))
    row = list(range(len(got) + 1))
    for n, word in enumerate(wanted, 1):
        before, row[0] = row[0], n
        for m, other in enumerate(got, 1):
            before, row[m] = row[m], min(before + (word != other), row[m] + 1, row[m - 1] + 1)
    return row[-1] / len(wanted)
