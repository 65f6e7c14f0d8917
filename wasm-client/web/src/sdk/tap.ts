// Test builds only: `globalThis.conclaveTap`, by which browser tests look behind the page. The build for release fails if a trace
// of it is left.
import type { EngineWorker } from "./engine-worker";
import type { Media } from "./media/media";
import type { FromWorker, TapAnswer, TapFrame, TapRequest, TransformStats } from "./messages";
import { STREAMS, type MeetingState } from "./state";

export interface TapParts {
  worker: EngineWorker;
  media: Media;
  state: () => MeetingState;
}

/** Of AES-128, the suite of every room so far. */
const BASE_KEY_BYTES = 16;
const COUNTED = ["inbound-rtp", "outbound-rtp", "codec", "candidate-pair", "local-candidate", "remote-candidate"];
const CODECS = ["audio/opus", "video/vp8", "video/vp9", "video/av1", "video/h264"];

export function exposeTap(parts: TapParts): void {
  Object.assign(globalThis, { conclaveTap: new Tap(parts) });
}

class Tap {
  readonly #parts: TapParts;
  readonly #asked = new Map<number, (message: FromWorker) => void>();
  #nonce = 0;

  constructor(parts: TapParts) {
    this.#parts = parts;
    parts.worker.subscribe((message) => {
      if (message.type === "tap" || message.type === "stats") this.#asked.get(message.nonce)?.(message);
    });
  }

  state(): MeetingState {
    return this.#parts.state();
  }

  /** What each transform passed and dropped, by reason. */
  async stats(): Promise<TransformStats[]> {
    const answer = await this.#ask((nonce) => this.#parts.worker.post({ type: "stats", nonce }));
    return answer.type === "stats" ? answer.stats : [];
  }

  /** The browser's own counts, of inbound and outbound RTP streams, and the ways they go. */
  async rtc(): Promise<object[]> {
    const report = await this.#parts.media.session.statistics();
    const all: object[] = [];
    report.forEach((entry: { type: string }) => {
      if (COUNTED.includes(entry.type)) all.push(entry);
    });
    return all;
  }

  /** Frames since the last call, or the latest of them, with what the encoder made and what was sent, in base64. */
  async frames(latest?: number): Promise<object[]> {
    const frames = await this.#drain(latest);
    return frames.map((frame) => ({ ...frame, clear: base64(frame.clear), sealed: base64(frame.sealed) }));
  }

  /** The same as the record file that `conclave audit blindness --frames` reads, in base64. */
  async dump(): Promise<string> {
    const frames = await this.#drain();
    return base64(concat(frames.flatMap((frame) => [record(frame), frame.clear])));
  }

  /** Tries a frame on the opener: "opened", "early", or why it is dropped. */
  async open(kind: "audio" | "video", frame: string): Promise<string> {
    const bytes = Uint8Array.from(atob(frame), (character) => character.charCodeAt(0));
    const answer = await this.#tap({ what: "open", kind, frame: bytes });
    return answer.what === "opened" ? answer.result : "no-answer";
  }

  /** No more word from or to the delivery service; the keys stay, as in a removed member's hostile worker. */
  async cutDelivery(): Promise<void> {
    await this.#tap({ what: "cut-delivery" });
  }

  /** All frames from now on go through this engine; null: as they would by themselves. */
  async rule(use: "webcrypto" | "wasm" | null): Promise<void> {
    await this.#tap({ what: "rule", use });
  }

  /** How many workers took the place of one that died. */
  restarts(): number {
    return this.#parts.worker.restarts;
  }

  /** The worker fails; whether it still answers depends on how. */
  fail(how: "panic" | "throw" | "reject" | "close"): void {
    void this.#tap({ what: "fail", how });
  }

  /** The worker does nothing for so long, beginning now. */
  async stall(ms: number): Promise<void> {
    await this.#tap({ what: "stall", ms });
  }

  /** The next frames of a kind fail: their data cannot be set, or the step they go through throws. */
  async fault(role: "seal" | "open", kind: "audio" | "video", how: "data" | "step", frames: number): Promise<void> {
    await this.#tap({ what: "fault", role, kind, how, frames });
  }

  /** Every epoch's base key so far, in base64. */
  async baseKeys(): Promise<string[]> {
    const answer = await this.#tap({ what: "base-keys" });
    const keys = answer.what === "base-keys" ? answer.keys : new Uint8Array();
    return Array.from({ length: keys.length / BASE_KEY_BYTES }, (_, at) =>
      base64(keys.subarray(at * BASE_KEY_BYTES, (at + 1) * BASE_KEY_BYTES)),
    );
  }

  /** A fresh track of the same camera takes the running one's place, as when another camera is chosen. */
  async replaceCamera(): Promise<void> {
    const { devices } = this.#parts.media;
    const deviceId = devices.tracks.camera?.getSettings().deviceId;
    if (deviceId !== undefined) await devices.choose("camera", deviceId);
  }

  async #drain(latest?: number): Promise<TapFrame[]> {
    const answer = await this.#tap({ what: "drain", ...(latest !== undefined && { latest }) });
    return answer.what === "frames" ? answer.frames : [];
  }

  async #tap(request: TapRequest): Promise<TapAnswer> {
    const answer = await this.#ask((nonce) => this.#parts.worker.post({ type: "tap", request, nonce }));
    return answer.type === "tap" ? answer.answer : { what: "done" };
  }

  #ask(send: (nonce: number) => void): Promise<FromWorker> {
    const nonce = ++this.#nonce;
    return new Promise((resolve) => {
      this.#asked.set(nonce, (message) => {
        this.#asked.delete(nonce);
        resolve(message);
      });
      send(nonce);
    });
  }
}

/** Header of a record: length, stream, codec, key, RTP timestamp; big endian. */
function record(frame: TapFrame): Uint8Array {
  const header = new DataView(new ArrayBuffer(11));
  header.setUint32(0, frame.clear.byteLength);
  header.setUint8(4, STREAMS.indexOf(frame.stream));
  header.setUint8(5, CODECS.indexOf(frame.codec.toLowerCase()));
  header.setUint8(6, frame.key ? 1 : 0);
  header.setUint32(7, frame.rtpTimestamp);
  return new Uint8Array(header.buffer);
}

function concat(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.byteLength;
  }
  return all;
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  const step = 0x8000;
  for (let at = 0; at < bytes.length; at += step) binary += String.fromCharCode(...bytes.subarray(at, at + step));
  return btoa(binary);
}
