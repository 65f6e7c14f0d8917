// A build for release has neither of the two taps (PF-19). Test builds have both, so the search would find them.
import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { program, webApp } from "./lib/needs.js";

const RELAY = "conclave-relay-tap";
const WORKER = "conclave-worker-tap";
const PAGE = "conclaveTap";

/** @param {string} folder */
async function everything(folder) {
  const parts = [];
  for (const name of await readdir(folder, { recursive: true })) {
    if ((await stat(join(folder, name))).isFile()) parts.push(await readFile(join(folder, name)));
  }
  return Buffer.concat(parts);
}

test("neither page, worker nor WebAssembly of the plain web app has a trace of a tap", async () => {
  const bytes = await everything(webApp());
  assert.ok(bytes.length > 500_000, "that is no web app");
  for (const trace of [WORKER, RELAY, PAGE]) assert.ok(!bytes.includes(trace), trace);
});

test("the plain server's program has no trace of a tap", async () => {
  const bytes = await readFile(program());
  for (const trace of [RELAY, WORKER, "CONCLAVE_RELAY_TAP"]) assert.ok(!bytes.includes(trace), trace);
});

test("the test builds have them, so that they would be found", async () => {
  const web = await everything(webApp({ tap: true }));
  assert.ok(web.includes(WORKER) && web.includes(PAGE));
  assert.ok((await readFile(program({ tap: true }))).includes(RELAY));
});
