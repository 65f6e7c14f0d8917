// Test builds only: what the worker seals can be read by a test, and frames can be tried on the opener. Everything here
// stands behind `__TAP__`, and the build for release fails if a trace of it is left.
import { last_panic } from "conclave-wasm";
import type { TapAnswer, TapFrame, TapRequest, TransformOptions } from "../messages";
import type { Stream } from "../state";
import type { Delivery } from "./delivery";
import type { Engine } from "./engine";
import { EngineDied } from "./engine-died";
import { scope, type EncodedFrame } from "./scope";

/** Found in a test build's worker, and searched for in a release. */
const MARKER = "conclave-worker-tap";
const KEPT = 20_000;

interface Sealed {
  id: string;
  stream: Stream;
  mimeType: string;
  key: boolean;
  ssrc: number;
  rtpTimestamp: number;
  clear: Uint8Array;
  sealed: ArrayBuffer;
}

let frames: TapFrame[] = [];

export function tapSealed(frame: Sealed): void {
  if (frames.length >= KEPT) return;
  const { mimeType, ...rest } = frame;
  frames.push({
    ...rest,
    marker: MARKER,
    codec: mimeType,
    clear: frame.clear.slice(),
    sealed: new Uint8Array(frame.sealed.slice(0)),
  });
}

/** The engine's client, which in a test build's WASM has this as well. */
interface TappedClient {
  tap_base_keys(): Uint8Array;
  tap_panic(): void;
}

let client: TappedClient | null = null;

export function tapClient(made: object): void {
  client = made as TappedClient;
}

let fault: Extract<TapRequest, { what: "fault" }> | null = null;

/** Before a frame goes through its transform: the fault that a test ordered. */
export function tapFault(options: TransformOptions, frame: EncodedFrame): void {
  if (!fault || fault.frames === 0 || options.role !== fault.role || kindOf(options) !== fault.kind) return;
  fault.frames -= 1;
  const refuse = (): never => {
    throw new TypeError("a fault for a test");
  };
  if (fault.how === "step") refuse();
  const { data } = frame;
  Object.defineProperty(frame, "data", { get: () => data, set: refuse });
}

function kindOf(options: TransformOptions): "audio" | "video" {
  if (options.role === "open") return options.kind;
  return options.stream === "camera" || options.stream === "screen" ? "video" : "audio";
}

function fail(how: "panic" | "throw" | "reject" | "close"): void {
  switch (how) {
    case "panic":
      try {
        client?.tap_panic();
      } catch {
        throw new EngineDied(last_panic() ?? "It trapped.");
      }
      return;
    case "throw":
      scope.setTimeout(() => {
        throw new Error("an uncaught exception for a test");
      }, 0);
      return;
    case "reject":
      void Promise.reject(new Error("an unhandled rejection for a test"));
      return;
    case "close":
      return scope.close();
  }
}

/** As a loop without an end would. */
function standStill(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Which engine takes all frames; null: it goes by itself. */
let rule: "webcrypto" | "wasm" | null = null;

export function tapRule(): typeof rule {
  return rule;
}

export function tapAnswer(request: TapRequest, engine: Engine | null, delivery: Delivery | null): TapAnswer {
  switch (request.what) {
    case "drain": {
      const drained = frames.slice(Math.max(0, frames.length - (request.latest ?? frames.length)));
      frames = [];
      return { what: "frames", frames: drained };
    }
    case "base-keys":
      return { what: "base-keys", keys: client?.tap_base_keys() ?? new Uint8Array() };
    case "rule":
      rule = request.use;
      return { what: "ruled" };
    case "cut-delivery":
      delivery?.close();
      return { what: "done" };
    case "fail":
      fail(request.how);
      return { what: "done" };
    case "stall":
      scope.setTimeout(() => standStill(request.ms), 0);
      return { what: "done" };
    case "fault":
      fault = request;
      return { what: "done" };
    case "open": {
      const opening = engine?.open(request.kind, request.frame);
      if (opening === undefined) return { what: "opened", result: "no-group" };
      return { what: "opened", result: opening.result === "dropped" ? opening.why : opening.result };
    }
  }
}
