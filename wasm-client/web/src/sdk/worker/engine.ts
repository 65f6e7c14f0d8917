// The engine in WebAssembly behind a typed face. A panic in it poisons it for good: from then on every call says so and
// nothing is sealed or opened.
import init, { Client, codec_of, drop_reasons, last_panic, version } from "conclave-wasm";
import type { Pinned } from "../link";
import type { IceServer } from "../messages";
import type { DropReason } from "../state";
import { now } from "./scope";
import { tapClient } from "./tap";

/** What the engine wants done or said, in order: wasm-client/src/event.rs and the engine's output.rs. */
export type EngineEvent =
  | { type: "send"; text: string }
  | { type: "reconnect" }
  | { type: "roster"; roster: { epoch: number; members: EngineMember[] } }
  | { type: "epoch"; epoch: number; suite: number; fresh: boolean }
  | { type: "sending"; epoch: number | null; keyFrame: boolean }
  | { type: "code"; epoch: number; groups: string[] }
  | { type: "chat"; message: { leaf: number; name: string; text: string; epoch: number; own: boolean } }
  | { type: "relay"; url: string; token: string; iceServers: IceServer[] }
  | { type: "status"; status: { state: EnginePhase; words: string } }
  | { type: "warning"; text: string }
  | { type: "refused"; reason: string }
  | { type: "ended"; cause: EndCause; reason: string }
  | { type: "wake-at"; at: number };

/** Why it is over. */
export type EndCause = "left" | "removed" | "replaced" | "closed" | "wrong-root" | "version" | "split" | "refused";

export type EnginePhase =
  "connecting" | "identifying" | "awaiting-admission" | "in-call" | "reconnecting" | "rejoining" | "ended";

export interface EngineMember {
  leaf: number;
  name: string;
  org: string;
  person: string;
  device: string;
  role: "guest" | "member" | "host";
  certificate_code: string;
  not_after: number;
  own: boolean;
  connected: boolean;
}

export interface JoinRequest {
  pinned: Pinned;
  session: string;
}

export type Opening =
  | { result: "opened"; leaf: number; stream: number; epoch: number; frame: ArrayBuffer }
  | { result: "early"; ticket: number }
  | { result: "dropped"; why: DropReason };

export class EngineDied extends Error {}

/** What `open` and `next_released` answer; higher numbers are `FIRST_DROP` and an index into the drop reasons. */
const OPENED = 0;
const EARLY = 1;
const FIRST_DROP = 2;

let reasons: DropReason[] = [];

export async function loadEngine(): Promise<string> {
  await init({ module_or_path: __WASM_URL__ });
  reasons = drop_reasons() as DropReason[];
  return version();
}

export class Engine {
  readonly #client: Client;
  readonly #codecs = new Map<string, number | undefined>();

  constructor(request: JoinRequest) {
    const seed = crypto.getRandomValues(new Uint8Array(32));
    const { room, rootHash, profile } = request.pinned;
    this.#client = guard(() => new Client(room, request.session, rootHash, profile, seed));
    seed.fill(0);
    if (__TAP__) tapClient(this.#client);
  }

  connected(): EngineEvent[] {
    return this.#events(() => this.#client.connected(now()));
  }

  connectionLost(): EngineEvent[] {
    return this.#events(() => this.#client.connection_lost(now()));
  }

  text(text: string): EngineEvent[] {
    return this.#events(() => this.#client.text(text, now()));
  }

  tick(): EngineEvent[] {
    return this.#events(() => this.#client.tick(now()));
  }

  chat(text: string): EngineEvent[] {
    return this.#events(() => this.#client.chat(text, now()));
  }

  leave(): EngineEvent[] {
    return this.#events(() => this.#client.leave(now()));
  }

  /** The sealed frame in its shell, or null: then there is nothing to send. */
  seal(stream: number, mimeType: string, key: boolean, frame: Uint8Array): ArrayBuffer | null {
    const codec = this.#codec(mimeType);
    if (codec === undefined) return null;
    const sealed = guard(() => this.#client.seal(stream, codec, key, frame, now()));
    return sealed ? bufferOf(sealed) : null;
  }

  open(kind: "audio" | "video", frame: Uint8Array): Opening {
    const verdict = guard(() => this.#client.open(kind === "video", frame, now()));
    return this.#opening(verdict);
  }

  /** Frames that waited for an epoch, with their tickets, in order. To be asked after each batch of events. */
  released(): { ticket: number; opening: Opening }[] {
    const all: { ticket: number; opening: Opening }[] = [];
    for (
      let verdict = guard(() => this.#client.next_released());
      verdict !== undefined;
      verdict = guard(() => this.#client.next_released())
    ) {
      all.push({ ticket: this.#client.ticket(), opening: this.#opening(verdict) });
    }
    return all;
  }

  /** Wipes every key. */
  free(): void {
    this.#client.free();
  }

  #opening(verdict: number): Opening {
    const client = this.#client;
    if (verdict === OPENED) {
      return {
        result: "opened",
        leaf: client.leaf(),
        stream: client.stream(),
        epoch: client.epoch(),
        frame: bufferOf(client.take_frame()),
      };
    }
    if (verdict === EARLY) return { result: "early", ticket: client.ticket() };
    return { result: "dropped", why: reasons[verdict - FIRST_DROP] ?? "bad-header" };
  }

  #codec(mimeType: string): number | undefined {
    if (!this.#codecs.has(mimeType))
      this.#codecs.set(
        mimeType,
        guard(() => codec_of(mimeType)),
      );
    return this.#codecs.get(mimeType);
  }

  #events(call: () => string): EngineEvent[] {
    return JSON.parse(guard(call)) as EngineEvent[];
  }
}

/** wasm-bindgen hands out a copy in a buffer of its own. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = bytes;
  if (buffer instanceof ArrayBuffer && byteOffset === 0 && buffer.byteLength === byteLength) return buffer;
  return bytes.slice().buffer as ArrayBuffer;
}

function guard<T>(call: () => T): T {
  try {
    return call();
  } catch (fault) {
    const panic = last_panic();
    if (panic !== undefined || fault instanceof WebAssembly.RuntimeError) throw new EngineDied(panic ?? String(fault));
    throw fault;
  }
}
