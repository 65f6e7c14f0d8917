import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { fromBase64Url, makeLink, parseLink, rootHashOf, toBase64Url } = await load("sdk/link.ts");
const HASH = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"; // SHA-256 of nothing

test("CLNT-8: a link that was made can be read again", () => {
  for (const profile of ["standard", "fips", "pq"]) {
    const pinned = { room: "r_1-x", rootHash: HASH, profile };
    assert.deepEqual(parseLink(new URL(makeLink("https://meet.example", pinned))), { kind: "complete", pinned });
  }
  // A link from before there were profiles.
  assert.equal(parseLink({ pathname: "/m/r", hash: `#${HASH}` }).pinned.profile, "standard");
});

test("CLNT-8: a link whose fragment is missing, short, long or not canonical is incomplete", () => {
  for (const hash of [
    "",
    "#",
    `#${HASH.slice(1)}`,
    `#${HASH}A`,
    `#${HASH.slice(0, -1)}V`,
    `#${HASH.slice(0, -1)}=`,
    `#${HASH.replace("-", "+")}`,
    `#${HASH}.`,
    `#${HASH}.standard`,
    `#${HASH}.weaker`,
    `#${HASH}.fips.fips`,
    `#${HASH}.pq.fips`,
    `#${HASH}.PQ`,
    `#${HASH}pq`,
  ]) {
    assert.equal(parseLink({ pathname: "/m/room", hash }).kind, "incomplete", hash);
  }
});

test("another address is no room's link", () => {
  for (const pathname of ["/", "/m/", "/m/a/b", "/x/room", "/m/ro%20om"])
    assert.equal(parseLink({ pathname, hash: `#${HASH}` }).kind, "none", pathname);
});

test("the root's hash is SHA-256 as base64url without padding", async () => {
  assert.equal(await rootHashOf(new Uint8Array()), HASH);
  assert.deepEqual(fromBase64Url(toBase64Url(Uint8Array.of(251, 255, 1))), Uint8Array.of(251, 255, 1));
});
