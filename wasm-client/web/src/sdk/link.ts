// CLNT-8: the room's link: `<origin>/m/<room>#<base64url SHA-256 of the trust root's certificate>[.<profile>]`. Browsers never
// send the fragment, so the servers can choose neither which root a joiner pins nor which algorithms.

/**
 * Which algorithms a room uses (e2ee-core/src/group/policy.rs). A link that names none is of profile `standard`. Whether `pq`, the
 * experimental one, can be joined is for the engine to say: not every build has it.
 */
export type Profile = "standard" | "fips" | "pq";

/** What the link says of a room, and what is held against everything that a server says. */
export interface Pinned {
  room: string;
  rootHash: string;
  profile: Profile;
}

export type RoomLink = { kind: "none" } | { kind: "incomplete"; room: string } | { kind: "complete"; pinned: Pinned };

const ROOM = /^\/m\/([A-Za-z0-9_-]{1,64})\/?$/;
/** 32 bytes are 43 base64url characters, of which the last carries 4 bits: 16 of the 64 are canonical there. */
const FRAGMENT = /^#([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])(?:\.(fips|pq))?$/;

export function parseLink(location: { pathname: string; hash: string }): RoomLink {
  const room = ROOM.exec(location.pathname)?.[1];
  if (room === undefined) return { kind: "none" };
  const [, rootHash, profile] = FRAGMENT.exec(location.hash) ?? [];
  if (rootHash === undefined) return { kind: "incomplete", room };
  return { kind: "complete", pinned: { room, rootHash, profile: (profile as Profile | undefined) ?? "standard" } };
}

export function makeLink(origin: string, { room, rootHash, profile }: Pinned): string {
  return `${origin}/m/${room}#${rootHash}${profile === "standard" ? "" : `.${profile}`}`;
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
