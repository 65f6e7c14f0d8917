// Test builds only: what the worker seals can be read by a test, and frames can be tried on the opener. Everything here
// stands behind `__TAP__`, and the build for release fails if a trace of it is left.
import type { TapAnswer, TapFrame, TapRequest } from "../messages";
import type { Stream } from "../state";
import type { Delivery } from "./delivery";
import type { Engine } from "./engine";

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
let client: { tap_base_keys(): Uint8Array } | null = null;

export function tapClient(made: object): void {
  client = made as { tap_base_keys(): Uint8Array };
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
      return { what: "cut" };
    case "open": {
      const opening = engine?.open(request.kind, request.frame);
      if (opening === undefined) return { what: "opened", result: "no-group" };
      return { what: "opened", result: opening.result === "dropped" ? opening.why : opening.result };
    }
  }
}
