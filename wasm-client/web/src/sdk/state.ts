// What the page knows of a meeting, as plain data. One snapshot replaces the other; nobody edits one in place.
// Whatever is said here about encryption comes from the worker (the MLS tree, certificates, authenticated frames),
// never from a server's word.
import type { Profile } from "./link";
import type { DeviceProblems } from "./media/devices";

/** What a media frame belongs to. The number is the context in the SFrame key id (PROTOCOL.md, SFRM). */
export const STREAMS = ["microphone", "camera", "screen", "screen-audio"] as const;
export type Stream = (typeof STREAMS)[number];

/** One's own streams, in a sentence. */
export const OWN_STREAM: Readonly<Record<Stream, string>> = Object.freeze({
  microphone: "your sound",
  camera: "your picture",
  screen: "your screen",
  "screen-audio": "your screen's sound",
});

export type Phase =
  | { name: "connecting"; step: ConnectStep }
  | { name: "call" }
  /** The group refused or lost us and we are coming back by ourselves. No media is sent meanwhile; what opens is played. */
  | { name: "rejoining"; why: string }
  /** The encryption engine died and another one is on its way into the group, with a key of its own (CLNT-11). */
  | { name: "restarting"; why: string; step: ConnectStep }
  | { name: "left" }
  | { name: "ended"; reason: string }
  | { name: "failed"; code: FailureCode; detail: string };

/** In the order in which they come. */
export const CONNECT_STEPS = ["engine", "signing-in", "certificate", "admission"] as const;
export type ConnectStep = (typeof CONNECT_STEPS)[number];

export type FailureCode =
  | "unsupported-browser"
  | "no-webcrypto"
  | "no-profile"
  | "room-not-found"
  | "server-unreachable"
  | "wrong-root"
  | "refused"
  | "worker-died"
  | "name-invalid"
  | "protocol";

/**
 * How sure one can be of a person (PF-15). `checked`: the certificate chain leads to the root in the link, nobody
 * compared a code. `compared`: this device's user compared the code while this key was theirs. `changed`: somebody of
 * this name was compared before, with another key. `expired`: the certificate has run out since it was checked.
 */
export type Trust = "checked" | "compared" | "changed" | "expired";

export interface Person {
  readonly leaf: number;
  /** From the certificate. */
  readonly name: string;
  /** The certificate says that nobody but the person vouches for the name. */
  readonly guest: boolean;
  readonly me: boolean;
  /** Who issued the certificate's name, from the certificate. */
  readonly org: string;
  /** The delivery service's word, for reading only. */
  readonly connected: boolean;
  /** Opaque ids from the certificate. */
  readonly person: string;
  readonly device: string;
  /** Of the MLS signature key, for comparing over time. */
  readonly fingerprint: string;
  /** End of the certificate's life, Unix ms. */
  readonly validUntil: number;
  readonly trust: Trust;
  /** Heard by this device, in the sound that it opened. */
  readonly speaking: boolean;
  /** Put before the others by this device's user. */
  readonly pinned: boolean;
  readonly media: Readonly<Record<Stream, MediaState>>;
  /** What of theirs does not come because this device's line has no room for it, by the relay's word. */
  readonly noRoom: readonly ("camera" | "screen")[];
}

/** What this device itself saw of one stream of one person. */
export type MediaState =
  /** No frame of theirs has come. */
  | { state: "nothing" }
  /** Frames open under their key of this epoch and are being played. */
  | { state: "live"; epoch: number }
  /** Frames did open; none came lately. */
  | { state: "quiet"; epoch: number }
  /** Frames come that do not open. They are dropped, and this says why. */
  | { state: "sealed"; why: SealedReason };

/** Why the worker dropped a frame: the names of e2ee-core/src/media/stats.rs. */
export type DropReason =
  | "bad-shell"
  | "bad-header"
  | "epoch-over"
  | "not-a-member"
  | "own-frame"
  | "unknown-stream"
  | "wrong-kind"
  | "replayed"
  | "too-old"
  | "not-authentic"
  | "early-buffer-full"
  | "early-too-long"
  | "no-answer";

/** `early`: the frame waits for an epoch whose keys are still to come. */
export type SealedReason = DropReason | "early";

export type LocalDevice = "off" | "starting" | "held" | "on" | "blocked" | "unsealed";

export interface LocalMedia {
  /**
   * `held`: captured, and not released until the worker has sealed a frame of this very sender (PF-28).
   * `unsealed`: no transform was confirmed, so nothing is sent.
   */
  readonly microphone: LocalDevice;
  readonly camera: LocalDevice;
  readonly screen: LocalDevice;
}

export interface ChatLine {
  readonly id: number;
  readonly leaf: number;
  readonly name: string;
  readonly me: boolean;
  readonly text: string;
  readonly at: number;
  /**
   * Of one's own: `waiting` for the connection; `unsure`, for that broke just after; `no`, for what was to carry it is gone. All others: `yes`.
   */
  readonly sent: "yes" | "waiting" | "unsure" | "no";
}

/** Something the user should hear about once; also read out by screen readers. */
export interface Notice {
  readonly id: number;
  readonly tone: "calm" | "warning" | "alarm";
  readonly text: string;
  readonly at: number;
}

export type Link = "connecting" | "up" | "lost";
/**
 * The one that carries media. `slow`: it has been connecting for longer than that takes. `ended`: the relay ended it on purpose, and it is not
 * made again before the key server gives another pass.
 */
export type MediaLink = Link | "slow" | "ended";

export interface MeetingState {
  readonly phase: Phase;
  readonly room: string;
  readonly link: string;
  readonly epoch: number | null;
  /** Eight groups of five digits, or none before the group stands. */
  readonly code: readonly string[];
  readonly cipher: string;
  readonly profile: Profile;
  readonly people: readonly Person[];
  readonly local: LocalMedia;
  /** Why a device of one's own is `blocked`. */
  readonly problems: DeviceProblems;
  readonly chat: readonly ChatLine[];
  readonly notices: readonly Notice[];
  /** Connections to the two servers: where media and handshakes go, nothing about trust. */
  readonly delivery: Link;
  readonly relay: MediaLink;
  /** `slow`: the encryption engine has not answered for a moment (CLNT-15). */
  readonly engine: "up" | "slow";
}

export const NO_MEDIA: Readonly<Record<Stream, MediaState>> = Object.freeze({
  microphone: { state: "nothing" },
  camera: { state: "nothing" },
  screen: { state: "nothing" },
  "screen-audio": { state: "nothing" },
});
