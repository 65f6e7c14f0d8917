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
  /** This receiver serves somebody else from now on: say anew whose frames open. */
  | { type: "forget-sender"; id: string }
  /** The connection of these transforms is gone; their counts may go. */
  | { type: "transforms-gone"; ids: string[] }
  | { type: "are-you-there"; nonce: number }
  | { type: "stats"; nonce: number }
  | { type: "tap"; request: TapRequest; nonce: number };

export type FromWorker =
  /** WASM is loaded; `simd`: of the two compilations, that with SIMD. */
  | { type: "ready"; version: string; simd: boolean }
  | { type: "died"; reason: string }
  /** Where media goes; the same token may come again, renewed. */
  | { type: "relay"; url: string; token: string; iceServers: IceServer[] }
  | { type: "progress"; step: "certificate" | "admission" }
  | { type: "group"; group: GroupView }
  /** Sealing goes on under this epoch, or stops until the next one. */
  | { type: "sending"; epoch: number | null }
  | { type: "chat"; line: Omit<ChatLine, "id"> }
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
  /** Frames of this receiver open, and whose they are. Said again whenever the answer changes. */
  | { type: "authenticated"; id: string; leaf: number; stream: Stream; epoch: number }
  /** Once a second: what came in since the last report, for each receiver that got anything. */
  | { type: "reception"; reports: Reception[] }
  | { type: "key-frame-sent"; id: string; ssrc: number; rtpTimestamp: number }
  /** Newcomers hold the keys: these senders should make a key frame and the worker could not ask the encoder. */
  | { type: "key-frame-needed"; ids: string[] }
  | { type: "i-am-here"; nonce: number }
  | { type: "stats"; nonce: number; stats: TransformStats[] }
  | { type: "tap"; nonce: number; answer: TapAnswer };

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
  | { what: "base-keys" };

export type TapAnswer =
  | { what: "frames"; frames: TapFrame[] }
  | { what: "opened"; result: string }
  | { what: "cut" }
  | { what: "ruled" }
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
