// The relay's signalling, as in sfu-relay/src/signal/message.rs. What the relay says decides where packets go, never
// whose they are: a tile is chosen by the leaf that the worker authenticated.
import type { Stream } from "../state";

export const RELAY_PROTOCOL = 1;

export type ToRelay =
  | { type: "hello"; protocol: number; token: string }
  | { type: "renew"; token: string }
  | { type: "offer"; id: number; sdp: string; publish: Publish[]; subscribe: Subscribe[] }
  | { type: "key-frame-sent"; producer: string; ssrc: number; rtp_timestamp: number }
  | { type: "request-key-frame"; producer: string }
  | { type: "wishes"; wishes: Wish[] }
  | { type: "ping" };

export interface Publish {
  mid: string;
  source: Stream;
}

export interface Subscribe {
  mid: string;
  producer: string;
}

export interface Wish {
  producer: string;
  /** The highest layer wanted, 0 being the lowest; null: all there are. */
  max_layer: number | null;
  paused: boolean;
  pinned: boolean;
}

export type FromRelay =
  | { type: "ready"; participant: string }
  | { type: "answer"; id: number; sdp: string; producers: { mid: string; producer: string }[] }
  | { type: "producers"; added: ProducerInfo[]; removed: string[] }
  | { type: "wanted-layers"; producer: string; layers: number[] }
  /** All of the producers for which the line to this device has no room now. */
  | { type: "paused"; producers: string[] }
  | { type: "error"; code: RelayErrorCode; message: string; fatal: boolean }
  | { type: "pong" };

export interface ProducerInfo {
  producer: string;
  participant: string;
  source: Stream;
  kind: "audio" | "video";
}

export type RelayErrorCode =
  | "protocol"
  | "token-invalid"
  | "token-expired"
  | "not-allowed"
  | "offer"
  | "unknown-producer"
  | "too-many"
  | "replaced"
  | "disconnected"
  | "transport-lost"
  | "relay-full"
  | "shutting-down";

/** A text frame of the relay, or null for what is no message. The relay is not trusted, so its fields are checked where they matter. */
export function parseRelay(text: string): FromRelay | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return isMessage(value) ? value : null;
}

function isMessage(value: unknown): value is FromRelay {
  if (!isRecord(value)) return false;
  switch (value["type"]) {
    case "ready":
      return typeof value["participant"] === "string";
    case "answer":
      return (
        typeof value["id"] === "number" &&
        typeof value["sdp"] === "string" &&
        everyHas(value["producers"], ["mid", "producer"])
      );
    case "producers":
      return everyHas(value["added"], ["producer", "participant", "source", "kind"]) && isStrings(value["removed"]);
    case "wanted-layers":
      return typeof value["producer"] === "string" && isNumbers(value["layers"]);
    case "paused":
      return isStrings(value["producers"]);
    case "error":
      return (
        typeof value["code"] === "string" && typeof value["message"] === "string" && typeof value["fatal"] === "boolean"
      );
    case "pong":
      return true;
    default:
      return false;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isNumbers(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "number");
}

function everyHas(value: unknown, fields: string[]): boolean {
  return (
    Array.isArray(value) &&
    value.every((item) => isRecord(item) && fields.every((field) => typeof item[field] === "string"))
  );
}
