// The engine in WebAssembly behind a typed face, and WebCrypto beside it. A panic in it poisons it for good: from then on every
// call says so and nothing is sealed or opened.
import * as withSimd from "conclave-wasm";
import * as baseline from "conclave-wasm-baseline";
import type { Pinned, Profile } from "../link";
import type { IceServer } from "../messages";
import type { DropReason } from "../state";
import { calibrate } from "./calibration";
import { EngineDied } from "./engine-died";
import { KeyRing, workingSubtle, type AeadCall, type Direction } from "./key-ring";
import { now, pause } from "./scope";
import { SIZES, SwitchPoint } from "./switch-point";
import { tapClient, tapRule } from "./tap";

export { EngineDied };

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

/** A frame in flight through WebCrypto. */
export interface InFlight {
  result: "in-flight";
  job: number;
  answer: Promise<ArrayBuffer>;
}

/** What is said of a received frame in the end. */
export type Verdict =
  | { result: "opened"; leaf: number; stream: number; epoch: number; frame: ArrayBuffer }
  | { result: "early"; ticket: number }
  | { result: "dropped"; why: DropReason };

export type Opening = Verdict | InFlight;

/** Not every frame of this engine's is timed: the clock costs something too. */
const TIMED_EVERY = 8;

/** What `open` and `next_released` answer; higher numbers are `FIRST_DROP` and an index into the drop reasons. */
const OPENED = 0;
const EARLY = 1;
const FIRST_DROP = 2;
const IN_FLIGHT = 255;

type Client = withSimd.Client;

/** The compilation that this browser can run. */
let wasm: typeof withSimd = withSimd;
let reasons: DropReason[] = [];
let memory: WebAssembly.Memory;
let bytes = new Uint8Array();

/** Returns zeros, looked up in zeros by `i8x16.swizzle`: what a browser without SIMD does not take for WebAssembly. */
const NEEDS_SIMD = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // magic number and version
  ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b], // one type: nothing in, a v128 out
  ...[0x03, 0x02, 0x01, 0x00], // one function, of that type
  ...[0x0a, 0x0e, 0x01, 0x0c, 0x00], // its code, without locals
  ...[0x41, 0x00, 0xfd, 0x0f, 0x41, 0x00, 0xfd, 0x0f], // i32.const 0, i8x16.splat, twice
  ...[0xfd, 0x0e, 0x0b], // i8x16.swizzle, end
);

export async function loadEngine(): Promise<{ version: string; simd: boolean }> {
  const simd = WebAssembly.validate(NEEDS_SIMD);
  // The tests' tap is in one of the two only; nothing else differs.
  if (!simd) wasm = baseline as unknown as typeof withSimd;
  ({ memory } = await wasm.default({ module_or_path: simd ? __WASM_URL__ : __WASM_BASELINE_URL__ }));
  reasons = wasm.drop_reasons() as DropReason[];
  return { version: wasm.version(), simd };
}

/** Not every build has the experimental one. */
export function hasProfile(profile: Profile): boolean {
  return wasm.has_profile(profile);
}

/** The engine's memory, which is another object after it has grown. */
function wasmBytes(): Uint8Array<ArrayBuffer> {
  if (bytes.buffer !== memory.buffer) bytes = new Uint8Array(memory.buffer);
  return bytes as Uint8Array<ArrayBuffer>;
}

/** WebCrypto, where it works, and the size from which frames go through it. One for the life of a worker. */
export class WebCryptoEngine {
  readonly point = new SwitchPoint();
  readonly #subtle: Promise<SubtleCrypto | null> = workingSubtle();
  #measuring = false;

  subtle(): Promise<SubtleCrypto | null> {
    return this.#subtle;
  }

  /** A round of measuring both engines, where that is due. Takes some 20 ms, of which the worker is busy for 2 at a time. */
  async measureIfDue(): Promise<void> {
    const subtle = await this.#subtle;
    if (!subtle || this.#measuring || !this.point.isDue(performance.now())) return;
    this.#measuring = true;
    const probe = guard(() => new wasm.Probe());
    try {
      const zeros = new Uint8Array(16);
      const ring = new KeyRing(subtle);
      const call = { nonce: new Uint8Array(12), additionalData: new Uint8Array(8) };
      const texts = new Map<number, Uint8Array<ArrayBuffer>>(SIZES.map((length) => [length, new Uint8Array(length)]));
      const engines = {
        wasm: (length: number) => void guard(() => probe.seal(length)),
        webcrypto: (length: number) => ring.run("encrypt", 0, 0, call, texts.get(length) ?? zeros, (use) => use(zeros)),
      };
      const samples = await calibrate(engines, { now: () => performance.now(), pause });
      this.point.measured(samples, performance.now());
    } catch {
      // What cannot be measured is not used.
      this.point.failed(performance.now());
    } finally {
      probe.free();
      this.#measuring = false;
    }
  }
}

/** Which engine a room's frames may go through. */
export type Choice = { by: "size"; point: SwitchPoint } | { by: "rule"; use: "webcrypto" | "wasm" };

export class Engine {
  readonly #client: Client;
  readonly #codecs = new Map<string, number | undefined>();
  readonly #ring: KeyRing | null;
  readonly #choice: Choice;
  #untimed = 0;

  constructor(request: JoinRequest, subtle: SubtleCrypto | null, choice: Choice) {
    const { room, rootHash, profile } = request.pinned;
    this.#client = guard(() => new wasm.Client(room, request.session, rootHash, profile));
    this.#ring = subtle && new KeyRing(subtle);
    this.#choice = choice;
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

  /** Whether a frame of so many bytes is to be begun and finished, around WebCrypto, instead of done at once. */
  prefersWebCrypto(length: number): boolean {
    const choice = this.#choice;
    if (!this.#ring) return false;
    const rule = __TAP__ ? tapRule() : null;
    if (rule !== null) return rule === "webcrypto";
    return choice.by === "rule" ? choice.use === "webcrypto" : choice.point.prefersWebCrypto(length);
  }

  /** The sealed frame in its shell, or null: then there is nothing to send. */
  seal(stream: number, mimeType: string, key: boolean, frame: Uint8Array): ArrayBuffer | null {
    const codec = this.#codec(mimeType);
    if (codec === undefined) return null;
    const client = this.#client;
    const start = now();
    const sealed = guard(() => {
      wasmBytesAt(client.room_to_seal(frame.byteLength), frame);
      return client.seal(stream, codec, key, start);
    });
    this.#time(frame.byteLength, start);
    return sealed ? this.#made() : null;
  }

  /** Takes a counter and gives the frame to WebCrypto; null: then there is nothing to send. */
  beginSeal(stream: number, mimeType: string, key: boolean, frame: Uint8Array<ArrayBuffer>): InFlight | null {
    const codec = this.#codec(mimeType);
    if (codec === undefined) return null;
    const job = guard(() => this.#client.prepare_seal(stream, codec, key, frame.byteLength, now()));
    return job === 0 ? null : this.#inFlight("encrypt", job, frame);
  }

  /** From ciphertext and tag to the sealed frame in its shell, or null: then there is nothing to send any more. */
  finishSeal(job: number, text: ArrayBuffer): ArrayBuffer | null {
    const client = this.#client;
    const finished = guard(() => {
      wasmBytesAt(client.room_to_seal(text.byteLength), new Uint8Array(text));
      return client.finish_seal(job, now());
    });
    return finished ? this.#made() : null;
  }

  open(kind: "audio" | "video", frame: Uint8Array): Verdict {
    const client = this.#client;
    const start = now();
    const verdict = guard(() => {
      wasmBytesAt(client.room_to_open(frame.byteLength), frame);
      return client.open(kind === "video", start);
    });
    this.#time(frame.byteLength, start);
    return this.#verdict(verdict, () => this.#made());
  }

  /** All checks before the tag's; a frame that passes them is given to WebCrypto. */
  beginOpen(kind: "audio" | "video", frame: Uint8Array): Opening {
    const client = this.#client;
    const verdict = guard(() => {
      wasmBytesAt(client.room_to_open(frame.byteLength), frame);
      return client.prepare_open(kind === "video", now());
    });
    return this.#opening(verdict);
  }

  /** WebCrypto says that the frame is authentic. It may be refused all the same: as a repeat, or as too late. */
  accept(job: number, plain: ArrayBuffer): Verdict {
    const verdict = guard(() => this.#client.accept(job, plain.byteLength, now()));
    return this.#verdict(verdict, () => plain);
  }

  /** WebCrypto says that the frame is not authentic, or that it could not encrypt. */
  refuse(job: number): Verdict {
    const verdict = guard(() => this.#client.refuse(job));
    return this.#verdict(verdict, () => new ArrayBuffer());
  }

  /** WebCrypto did not answer (ENGN-4). Where there is another engine, it is used for a while. */
  abandon(job: number): void {
    guard(() => this.#client.abandon(job));
    if (this.#choice.by === "size") this.#choice.point.failed(performance.now());
  }

  /** Nobody waits for this frame any more. */
  forget({ job, answer }: InFlight): void {
    answer.catch(() => undefined);
    guard(() => this.#client.abandon(job));
  }

  /** ENGN-3: keys of epochs that are over go, and at the start of another group all of them. */
  dropKeys(which: "of-past-epochs" | "all"): void {
    if (which === "all") this.#ring?.clear();
    else this.#ring?.keepOnly((epoch) => guard(() => this.#client.holds(epoch)));
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
    this.#ring?.clear();
    this.#client.free();
  }

  #opening(verdict: number): Opening {
    const client = this.#client;
    if (verdict !== IN_FLIGHT) return this.#verdict(verdict, () => this.#made());
    const [start, length] = guard(() => [client.made_at(), client.made_len()] as const);
    return this.#inFlight("decrypt", guard(() => client.job()), wasmBytes().subarray(start, start + length));
  }

  #verdict(verdict: number, frame: () => ArrayBuffer): Verdict {
    const client = this.#client;
    if (verdict === OPENED) {
      return {
        result: "opened",
        leaf: client.leaf(),
        stream: client.stream(),
        epoch: client.epoch(),
        frame: frame(),
      };
    }
    if (verdict === EARLY) return { result: "early", ticket: client.ticket() };
    return { result: "dropped", why: reasons[verdict - FIRST_DROP] ?? "bad-header" };
  }

  /** Starts WebCrypto on the job that was just made; `text` may lie in the engine's memory. */
  #inFlight(direction: Direction, job: number, text: Uint8Array<ArrayBuffer>): InFlight {
    const client = this.#client;
    const ring = this.#ring;
    if (!ring) return { result: "in-flight", job, answer: Promise.reject(new Error("there is no WebCrypto")) };
    const [epoch, kid, at, aadLength] = guard(
      () => [client.epoch(), client.key_id(), client.call_at(), client.aad_len()] as const,
    );
    const nonceEnd = at + NONCE_BYTES;
    const call: AeadCall = {
      nonce: wasmBytes().subarray(at, nonceEnd),
      additionalData: wasmBytes().subarray(nonceEnd, nonceEnd + aadLength),
    };
    const length = text.byteLength;
    const start = performance.now();
    const answer = ring.run(direction, epoch, kid, call, text, (use) => this.#withKey(epoch, kid, use));
    if (this.#choice.by === "size") {
      const { point } = this.#choice;
      const observe = () => point.observe("webcrypto", length, (performance.now() - start) * 1_000);
      answer.then(observe, () => undefined);
    }
    return { result: "in-flight", job, answer };
  }

  /** ENGN-2: a key's bytes are to be seen for as long as WebCrypto needs to copy them. */
  #withKey<T>(epoch: number, kid: number, use: (bytes: Uint8Array<ArrayBuffer>) => T): T {
    const client = this.#client;
    const length = guard(() => client.show_key(epoch, kid));
    try {
      const at = guard(() => client.key_at());
      return use(wasmBytes().subarray(at, at + length));
    } finally {
      guard(() => client.wipe_key());
    }
  }

  /** What the last call left, in a buffer of its own. */
  #made(): ArrayBuffer {
    const at = this.#client.made_at();
    return wasmBytes().slice(at, at + this.#client.made_len()).buffer;
  }

  #time(length: number, start: number): void {
    if (this.#choice.by !== "size") return;
    this.#untimed = (this.#untimed + 1) % TIMED_EVERY;
    if (this.#untimed === 0) this.#choice.point.observe("wasm", length, (now() - start) * 1_000);
  }

  #codec(mimeType: string): number | undefined {
    if (!this.#codecs.has(mimeType))
      this.#codecs.set(
        mimeType,
        guard(() => wasm.codec_of(mimeType)),
      );
    return this.#codecs.get(mimeType);
  }

  #events(call: () => string): EngineEvent[] {
    return JSON.parse(guard(call)) as EngineEvent[];
  }
}

const NONCE_BYTES = 12;

function wasmBytesAt(at: number, content: Uint8Array): void {
  wasmBytes().set(content, at);
}

function guard<T>(call: () => T): T {
  try {
    return call();
  } catch (fault) {
    const panic = wasm.last_panic();
    if (panic !== undefined || fault instanceof WebAssembly.RuntimeError) throw new EngineDied(panic ?? String(fault));
    throw fault;
  }
}
