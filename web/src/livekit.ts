// The line of a call: LiveKit's room, and the only file that knows of it. Loaded with the first call, and not before.

import { LocalAudioTrack, LogLevel, type RemoteTrack, Room, RoomEvent, setLogLevel, Track } from "livekit-client";
import type { Ticket } from "./api.ts";
import type { Caption } from "./call.ts";

/** What is heard of the line. */
export interface Told {
  /** "" when it is not there (any more). */
  agent(state: string): void;
  broken(broken: boolean): void;
  silent(silent: boolean): void;
  /** The customer's own microphone: also when it was unplugged. */
  muted(muted: boolean): void;
  caption(caption: Caption): void;
  /** The agent shows something; answers whether it is on the screen. */
  show(kind: string, payload: string): Promise<boolean>;
  left(): void;
}

const STATE = "lk.agent.state";
/** Of one caption or deliverable; LiveKit would take gigabytes. */
const LARGEST = 256 * 1024;

setLogLevel(LogLevel.error);

export class Line {
  readonly #room = new Room({
    publishDefaults: { stopMicTrackOnMute: true }, // muted is off: the browser's own sign goes out, too
    dataStream: { maxPayloadByteLength: LARGEST },
  });
  readonly #microphone: LocalAudioTrack;
  readonly #told: Told;
  readonly #meters = [new Meter(), new Meter()] as const;
  #voice: MediaStreamTrack | undefined;

  /** `microphone` is the line's from now on: it is stopped when the line ends. */
  constructor(microphone: MediaStreamTrack, wanted: MediaTrackConstraints, kinds: readonly string[], told: Told) {
    this.#told = told;
    this.#microphone = new LocalAudioTrack(microphone, wanted, false);
    this.#microphone.source = Track.Source.Microphone;
    this.#room.registerTextStreamHandler("lk.transcription", (reader, from) => void this.#read(reader, from.identity));
    for (const kind of kinds) {
      this.#room.registerRpcMethod(kind, async (call) => JSON.stringify({ shown: await told.show(kind, call.payload) }));
    }
    this.#listen();
  }

  #listen(): void {
    const told = this.#told;
    this.#room
      .on(RoomEvent.ParticipantConnected, () => this.#look())
      .on(RoomEvent.ParticipantDisconnected, () => this.#look())
      .on(RoomEvent.ParticipantAttributesChanged, () => this.#look())
      .on(RoomEvent.SignalReconnecting, () => told.broken(true))
      .on(RoomEvent.Reconnecting, () => told.broken(true))
      .on(RoomEvent.Reconnected, () => told.broken(false))
      .on(RoomEvent.AudioPlaybackStatusChanged, () => told.silent(!this.#room.canPlaybackAudio))
      .on(RoomEvent.TrackMuted, (track) => track.track === this.#microphone && told.muted(true))
      .on(RoomEvent.TrackUnmuted, (track) => track.track === this.#microphone && told.muted(false))
      .on(RoomEvent.TrackSubscribed, (track) => this.#hear(track))
      .on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()))
      .on(RoomEvent.Disconnected, () => told.left());
  }

  async join(ticket: Ticket): Promise<void> {
    await this.#room.connect(ticket.url, ticket.token, { maxRetries: 1 });
    await this.#room.localParticipant.publishTrack(this.#microphone);
    this.#look();
  }

  /** Whoever else is in the room is the agent: nobody is let in but one customer. */
  #look(): void {
    const [agent] = this.#room.remoteParticipants.values();
    this.#told.agent(agent?.attributes[STATE] ?? "");
  }

  #hear(track: RemoteTrack): void {
    if (track.kind !== Track.Kind.Audio) return;
    this.#voice = track.mediaStreamTrack;
    const element = track.attach();
    element.hidden = true;
    document.body.append(element);
  }

  /** The agent's words come in pieces; the customer's are said anew each time. */
  async #read(reader: AsyncIterable<string> & { info: { attributes?: Record<string, string> } }, identity: string): Promise<void> {
    const who = identity === this.#room.localParticipant.identity ? "user" : "agent";
    const id = reader.info.attributes?.["lk.segment_id"] ?? "";
    let text = "";
    try {
      for await (const piece of reader) this.#told.caption({ id, who, text: (text += piece) });
    } catch {
      // the line broke in the middle of it; the thread has it whole
    }
  }

  // ---- what the customer does

  async mute(muted: boolean): Promise<void> {
    await (muted ? this.#microphone.mute() : this.#microphone.unmute());
  }

  async use(device: string): Promise<void> {
    await this.#room.switchActiveDevice("audioinput", device);
  }

  get device(): string {
    return this.#microphone.mediaStreamTrack.getSettings().deviceId ?? "";
  }

  async sound(): Promise<void> {
    await this.#room.startAudio();
  }

  /** How loud the customer is, and the agent: 0 to 1. */
  levels(): [number, number] {
    const [mine, theirs] = this.#meters;
    return [this.#microphone.isMuted ? 0 : mine.of(this.#microphone.mediaStreamTrack), theirs.of(this.#voice)];
  }

  /** The microphone is off when this returns. */
  leave(): void {
    this.#microphone.stop();
    this.#microphone.mediaStreamTrack.stop();
    for (const meter of this.#meters) meter.close();
    void this.#room.disconnect();
    for (const element of document.querySelectorAll("body > audio")) element.remove();
  }
}

/** The level of a track, which may become another one. */
class Meter {
  #track: MediaStreamTrack | undefined;
  #context: AudioContext | undefined;
  #source: MediaStreamAudioSourceNode | undefined;
  #analyser: AnalyserNode | undefined;
  #values = new Float32Array(512);

  of(track: MediaStreamTrack | undefined): number {
    if (!track || track.readyState === "ended") return 0;
    if (track !== this.#track) this.#attach(track);
    this.#analyser!.getFloatTimeDomainData(this.#values);
    let sum = 0;
    for (const value of this.#values) sum += value * value;
    return Math.min(1, Math.sqrt(Math.sqrt(sum / this.#values.length)) * 1.6); // quiet speech is to be seen, too
  }

  #attach(track: MediaStreamTrack): void {
    this.#context ??= new AudioContext();
    this.#source?.disconnect();
    this.#analyser = new AnalyserNode(this.#context, { fftSize: this.#values.length });
    this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#analyser);
    this.#track = track;
  }

  close(): void {
    void this.#context?.close();
    this.#context = this.#track = undefined;
  }
}
