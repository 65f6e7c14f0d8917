// Everything that crosses between the page and the worker, in both directions. No key and no media crosses; the only
// exception to "no media" is the test build's tap, which is not compiled into a release.
import type { Pinned } from "./link";
import type { ChatLine, DropReason, FailureCode, Stream } from "./state";

/** What a transform is told when it is made: `RTCRtpScriptTransform` options, or beside `createEncodedStreams`. */
export type TransformOptions = SealOptions | OpenOptions;

export interface SealOptions {
  role: "seal";
  id: string;
  stream: Stream;
}

export interface OpenOptions {
  role: "open";
  id: string;
  kind: "audio" | "video";
}

export type ToWorker =
  /** Sign-in is done: connect to the delivery service and get into the group. */
  | { type: "join"; pinned: Pinned; session: string; deliveryUrl: string }
  | { type: "chat"; text: string }
  | { type: "leave" }
  /** Chromium's older way: the streams of one sender or receiver. */
  | { type: "streams"; options: TransformOptions; readable: ReadableStream; writable: WritableStream }
  /** Nobody's is what comes here, until the worker says whose it is; what it said under another number is out of date. */
  | { type: "forget-sender"; id: string; binding: number }
  /** This receiver's tile is that of whom the worker named last: their frames may go on (CLNT-20). */
  | { type: "bound"; id: string; binding: number }
  /** Whose frames these are is as it was, and is to be said once more. */
  | { type: "say-sender"; id: string }
  /** The connection of these transforms is gone; their counts may go. */
  | { type: "transforms-gone"; ids: string[] }
  | { type: "are-you-there"; nonce: number }
  | { type: "stats"; nonce: number }
  | { type: "tap"; request: TapRequest; nonce: number };

export type FromWorker =
  /** The worker holds the lock that has its name, and will until it ends (CLNT-15). */
  | { type: "held" }
  /** WASM is loaded; `simd`: of the two compilations, that with SIMD. */
  | { type: "ready"; version: string; simd: boolean }
  /** Said by the worker that it cannot go on, or by the page's end of the line that the worker is gone. */
  | { type: "died"; reason: string }
  /** Said by the page's end of the line: the worker has not answered for a while, or answers again. */
  | { type: "pace"; slow: boolean }
  /** Where media goes; the same token may come again, renewed. */
  | { type: "relay"; url: string; token: string; iceServers: IceServer[] }
  | { type: "progress"; step: "certificate" | "admission" }
  | { type: "group"; group: GroupView }
  /** Sealing goes on under this epoch, or stops until the next one. */
  | { type: "sending"; epoch: number | null }
  | { type: "chat"; line: Omit<ChatLine, "id" | "sent"> }
  | { type: "delivery"; state: "connecting" | "up" | "lost" }
  | { type: "rejoining"; why: string }
  /** It was a meeting and is over for this device; in the engine's words. */
  | { type: "ended"; reason: string }
  | { type: "failed"; code: FailureCode; detail: string }
  | { type: "warning"; text: string }
  /** A transform's pipe stands (this alone confirms nothing). */
  | { type: "attached"; id: string }
  /** A frame of this very sender went through the worker and came out sealed (PF-28). */
  | { type: "sealed-first-frame"; id: string }
  /** Frames of this receiver open, and whose they are. */
  | Authenticated
  /** Once a second: what came in since the last report, for each receiver that got anything. */
  | { type: "reception"; reports: Reception[] }
  | { type: "key-frame-sent"; id: string; ssrc: number; rtpTimestamp: number }
  /** This sender's or receiver's frames cannot be carried any more; another end has to take its place (CLNT-17). */
  | { type: "transform-lost"; id: string }
  /** These senders should make a key frame and the worker could not ask the encoder; or, of receivers, those who send to them. */
  | { type: "key-frame-needed"; ids: string[] }
  | { type: "i-am-here"; nonce: number }
  /** `repaired`: how often a transform's stream broke and was put together again. */
  | { type: "stats"; nonce: number; stats: (TransformStats & { repaired: number })[] }
  | { type: "tap"; nonce: number; answer: TapAnswer };

/**
 * Said of the first frame, and whenever the answer changes. `binding`: the number that the page gave last. `waits`: until now they were
 * somebody else's, and no frame goes on before the page has said `bound`.
 */
export interface Authenticated {
  type: "authenticated";
  id: string;
  leaf: number;
  stream: Stream;
  epoch: number;
  binding: number;
  waits: boolean;
}

/** A TURN server with this person's credentials for a short while. */
export interface IceServer {
  urls: string[];
  username: string;
  credential: string;
}

export interface Reception {
  id: string;
  /** Whose frames opened here last; what is dropped cannot be said to be anybody's. */
  leaf: number | null;
  stream: Stream | null;
  epoch: number | null;
  opened: number;
  /** Frames that wait for an epoch whose keys are still to come. */
  early: number;
  dropped: Partial<Record<DropReason, number>>;
}

/** The MLS group as the engine holds it. */
export interface GroupView {
  epoch: number;
  code: string[];
  cipher: string;
  me: number;
  roster: MemberView[];
}

export interface MemberView {
  leaf: number;
  name: string;
  org: string;
  guest: boolean;
  /** The delivery service's word, for reading only. */
  connected: boolean;
  person: string;
  device: string;
  fingerprint: string;
  validUntil: number;
}

export interface TransformStats {
  id: string;
  role: "seal" | "open";
  stream: Stream | null;
  leaf: number | null;
  /** Frames that came out sealed, or opened. */
  passed: number;
  /** The pictures that those were: layers of one moment inside one stream are several frames of one picture. */
  pictures: number;
  /** Frames that did not come out, by reason. */
  dropped: Record<string, number>;
  /** Frames by the engine that they were given to. */
  engines: { wasm: number; webcrypto: number };
}

// ---- Test builds only -------------------------------------------------------------------------------------------

export type TapRequest =
  /** Frames since the last one: the latest of them, or all where no number is given. The others are forgotten. */
  | { what: "drain"; latest?: number }
  /** Opens a sealed frame outside of any transform, as a removed member's worker would. */
  | { what: "open"; kind: "audio" | "video"; frame: Uint8Array }
  /** Loses the delivery connection for good and keeps the keys, as a removed member's hostile worker would. */
  | { what: "cut-delivery" }
  /** All frames from now on go through this engine; null: as they would by themselves. */
  | { what: "rule"; use: "webcrypto" | "wasm" | null }
  /** Every epoch's base key so far, for a test that searches the logs for them. */
  | { what: "base-keys" }
  /** The worker fails in one of the ways in which workers do. */
  | { what: "fail"; how: "panic" | "throw" | "reject" | "close" }
  /** It answers at once and then does nothing at all for so long. */
  | { what: "stall"; ms: number }
  /** The next frames of a stream meet a fault: their data cannot be set, or the step that they go through throws. */
  | { what: "fault"; role: "seal" | "open"; kind: "audio" | "video"; how: "data" | "step"; frames: number };

export type TapAnswer =
  | { what: "frames"; frames: TapFrame[] }
  | { what: "opened"; result: string }
  | { what: "ruled" }
  | { what: "done" }
  | { what: "base-keys"; keys: Uint8Array };

export interface TapFrame {
  marker: string;
  id: string;
  stream: Stream;
  codec: string;
  key: boolean;
  ssrc: number;
  rtpTimestamp: number;
  clear: Uint8Array;
  sealed: Uint8Array;
}
