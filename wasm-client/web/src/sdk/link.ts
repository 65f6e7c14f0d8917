// CLNT-8: the room's link: `<origin>/m/<room>#<base64url SHA-256 of the trust root's certificate>`. Browsers never send the
// fragment, so the servers cannot choose which root a joiner pins.

export type RoomLink =
  { kind: "none" } | { kind: "incomplete"; room: string } | { kind: "complete"; room: string; rootHash: string };

const ROOM = /^\/m\/([A-Za-z0-9_-]{1,64})\/?$/;
/** 32 bytes are 43 base64url characters, of which the last carries 4 bits: 16 of the 64 are canonical there. */
const HASH = /^#[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/;

export function parseLink(location: { pathname: string; hash: string }): RoomLink {
  const room = ROOM.exec(location.pathname)?.[1];
  if (room === undefined) return { kind: "none" };
  if (!HASH.test(location.hash)) return { kind: "incomplete", room };
  return { kind: "complete", room, rootHash: location.hash.slice(1) };
}

export function makeLink(origin: string, room: string, rootHash: string): string {
  return `${origin}/m/${room}#${rootHash}`;
}

export function toBase64Url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** The fragment that pins this root certificate (DER). */
export async function rootHashOf(certificate: Uint8Array<ArrayBuffer>): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", certificate)));
}
