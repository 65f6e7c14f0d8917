// ENGN-2 and ENGN-3, with Node's WebCrypto, which is a real one.
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { test } from "node:test";
import { load } from "./load.js";

const { KeyRing, workingSubtle } = await load("sdk/worker/key-ring.ts");

/** WebCrypto that tells what was imported. */
function watched() {
  const keys = [];
  const { subtle } = webcrypto;
  return {
    keys,
    importKey: async (...args) => {
      const key = await subtle.importKey(...args);
      keys.push(key);
      return key;
    },
    encrypt: (...args) => subtle.encrypt(...args),
    decrypt: (...args) => subtle.decrypt(...args),
  };
}

const call = (counter) => ({ nonce: new Uint8Array(12).fill(counter), additionalData: Uint8Array.of(1, 2, counter) });
const secret = () => new Uint8Array(16).fill(7);

test("ENGN-2: a key is imported once, for one direction, and cannot be exported", async () => {
  const subtle = watched();
  const ring = new KeyRing(subtle);
  let asked = 0;
  const withBytes = (use) => {
    asked += 1;
    const bytes = secret();
    const importing = use(bytes);
    bytes.fill(0); // What the engine does as soon as it has called.
    return importing;
  };
  const text = new TextEncoder().encode("frame");
  const sealed = await Promise.all([1, 2, 3].map((n) => ring.run("encrypt", 5, 9, call(n), text, withBytes)));
  await ring.run("encrypt", 5, 9, call(4), text, withBytes);
  assert.deepEqual([asked, subtle.keys.length], [1, 1]);
  const [key] = subtle.keys;
  assert.deepEqual([key.extractable, key.usages], [false, ["encrypt"]]);
  await assert.rejects(webcrypto.subtle.exportKey("raw", key));
  await assert.rejects(webcrypto.subtle.exportKey("jwk", key));

  const opener = new KeyRing(watched());
  const opened = await opener.run("decrypt", 5, 9, call(2), new Uint8Array(sealed[1]), (use) => use(secret()));
  assert.equal(new TextDecoder().decode(opened), "frame");
});

test("ENGN-2: while a key is being imported, text and nonce are kept as they were", async () => {
  const ring = new KeyRing(webcrypto.subtle);
  const parameters = call(1);
  const text = new Uint8Array(40).fill(3);
  const sealing = ring.run("encrypt", 1, 1, parameters, text, (use) => use(secret()));
  // The engine's memory goes on being used.
  text.fill(9);
  parameters.nonce.fill(9);
  parameters.additionalData.fill(9);
  const opened = await ring.run("decrypt", 1, 2, call(1), new Uint8Array(await sealing), (use) => use(secret()));
  assert.deepEqual(new Uint8Array(opened), new Uint8Array(40).fill(3));
});

test("SFRM-11: what is changed, cut or under another key or other data does not open", async () => {
  const ring = new KeyRing(webcrypto.subtle);
  for (const length of [0, 1, 300]) {
    const sealed = new Uint8Array(await ring.run("encrypt", 1, 1, call(1), new Uint8Array(length), (use) => use(secret())));
    const open = (bytes, parameters = call(1), kid = 2) => ring.run("decrypt", 1, kid, parameters, bytes, (use) => use(secret()));
    assert.equal((await open(sealed)).byteLength, length);
    for (let bit = 0; bit < sealed.length * 8; bit += 7) {
      const changed = sealed.slice();
      changed[bit >> 3] ^= 1 << (bit & 7);
      await assert.rejects(open(changed));
    }
    await assert.rejects(open(sealed.subarray(0, -1)));
    await assert.rejects(open(sealed.slice(1)));
    await assert.rejects(open(sealed, call(2)));
    await assert.rejects(open(sealed, { ...call(1), additionalData: Uint8Array.of(1, 2) }));
    await assert.rejects(ring.run("decrypt", 1, 3, call(1), sealed, (use) => use(new Uint8Array(16).fill(8))));
  }
});

test("ENGN-3: keys are gone with their epoch", async () => {
  const ring = new KeyRing(webcrypto.subtle);
  for (const epoch of [1, 2, 3]) await ring.run("encrypt", epoch, 4, call(1), new Uint8Array(1), (use) => use(secret()));
  assert.equal(ring.size, 3);
  ring.keepOnly((epoch) => epoch >= 2);
  assert.equal(ring.size, 2);
  ring.clear();
  assert.equal(ring.size, 0);
});

test("a key that is none is an answer that fails, and is asked for again", async () => {
  const ring = new KeyRing(webcrypto.subtle);
  const none = (use) => use(new Uint8Array());
  await assert.rejects(ring.run("decrypt", 1, 1, call(1), new Uint8Array(16), none));
  assert.equal(ring.size, 0);
});

test("ENGN-1: a WebCrypto that is not there, or does not do AES-GCM, is found out before a meeting", async (t) => {
  assert.ok(await workingSubtle());
  const real = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  t.after(() => Object.defineProperty(globalThis, "crypto", real));
  const put = (value) => Object.defineProperty(globalThis, "crypto", { value, configurable: true });
  put(undefined);
  assert.equal(await workingSubtle(), null);
  put({ subtle: { importKey: async () => ({}), encrypt: async () => new ArrayBuffer(32) } });
  assert.equal(await workingSubtle(), null);
  put({ subtle: { importKey: () => Promise.reject(new Error("no")) } });
  assert.equal(await workingSubtle(), null);
});
