// Which engine frames go through: the browser's own in a FIPS room and nothing else, either of them in others, in one call and one
// after the other; and the WebAssembly for browsers without SIMD.
import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "./lib/browser.js";
import { Calls } from "./lib/call.js";
import { Conclave } from "./lib/conclave.js";
import { hears } from "./lib/measure.js";
import { webApp } from "./lib/needs.js";
import { agreed, Person } from "./lib/person.js";

const calls = new Calls(() => Conclave.start());

/** Frames that each engine got so far, sealed and received together. @param {Person} person */
async function frames(person) {
  const all = { wasm: 0, webcrypto: 0 };
  for (const { engines } of await person.transforms()) {
    all.wasm += engines.wasm;
    all.webcrypto += engines.webcrypto;
  }
  return all;
}

/** @param {Person} person @param {"wasm" | "webcrypto" | null} use */
const rule = (person, use) => person.page.evaluate((use) => globalThis.conclaveTap.rule(use), use);

/** A Conclave whose worker finds itself in another browser: `line` is run before anything else in it. @param {import("node:test").TestContext} t @param {string} line */
async function withWorkerThatBegins(t, line) {
  const web = await mkdtemp(join(tmpdir(), "conclave-web-"));
  t.after(() => rm(web, { recursive: true, force: true }));
  await cp(webApp({ tap: true }), web, { recursive: true });
  const name = (await readdir(join(web, "assets"))).find((file) => /^worker-\w+\.js$/.test(file));
  const path = join(web, "assets", String(name));
  await writeFile(path, `${line}\n${await readFile(path, "utf8")}`);
  const conclave = await Conclave.start({ web });
  t.after(() => conclave.end());
  return conclave;
}

test("ENGN-1: in a FIPS room every frame of both browsers goes through WebCrypto, and none through WebAssembly", async (t) => {
  const link = await calls.conclave.makeRoom({ profile: "fips" });
  const ada = await calls.joining(calls.chromium, "Ada", link);
  const ben = await calls.joining(calls.firefox, "Ben", link);
  await agreed([ada, ben]);
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
  // A third makes frames come early and epochs change under way.
  const cleo = await calls.joining(calls.chromium, "Cleo", link);
  await agreed([ada, ben, cleo]);
  await Promise.all([cleo.sees("Ada"), cleo.sees("Ben"), ada.sees("Cleo"), ben.sees("Cleo")]);
  await cleo.leave();
  await agreed([ada, ben]);
  await hears(ben);
  for (const person of [ada, ben]) {
    const { wasm, webcrypto } = await frames(person);
    assert.equal(wasm, 0, person.name);
    assert.ok(webcrypto > 500, `${person.name}: ${webcrypto} frames`);
  }
  assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
});

test("ENGN-1: without WebCrypto nobody gets into a FIPS room, the page says why, and other rooms work", async (t) => {
  const conclave = await withWorkerThatBegins(t, 'Object.defineProperty(globalThis.crypto, "subtle", { value: undefined });');
  const ada = await Person.open(calls.chromium, "Ada");
  t.after(() => ada.close());
  await ada.page.goto(await conclave.makeRoom({ profile: "fips" }));
  await ada.fillName();
  await ada.click("go");
  const failed = await ada.find("failed-no-webcrypto");
  assert.match(String(await failed.evaluate((page) => page.textContent)), /WebCrypto/);

  const link = await conclave.makeRoom();
  const ben = await calls.joining(calls.chromium, "Ben", link);
  const cleo = await calls.joining(calls.firefox, "Cleo", link);
  await agreed([ben, cleo]);
  await Promise.all([ben.sees("Cleo"), cleo.sees("Ben")]);
  assert.equal((await frames(ben)).webcrypto + (await frames(cleo)).webcrypto, 0);
});

test("ENGN-4: in a running call all frames may change from one engine to the other and back, and none is refused", async () => {
  const { ada, ben } = await calls.two();
  await Promise.all([ada.sees("Ben"), ben.sees("Ada")]);
  for (const use of /** @type {const} */ (["webcrypto", "wasm", "webcrypto", null])) {
    await Promise.all([rule(ada, use), rule(ben, use)]);
    const before = await Promise.all([frames(ada), frames(ben)]);
    await eventually(`frames through ${use ?? "either"}`, async () => {
      const now = await Promise.all([frames(ada), frames(ben)]);
      return now.every((all, who) => (use ? all[use] - before[who][use] : all.wasm + all.webcrypto - before[who].wasm - before[who].webcrypto) > 200);
    });
  }
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
  assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
  for (const person of [ada, ben]) {
    const lost = (await person.transforms()).filter(({ role }) => role === "seal").map(({ dropped }) => dropped["no-answer"] ?? 0);
    assert.deepEqual(lost.filter((count) => count > 0), [], person.name);
  }
});

test("a browser without SIMD gets the engine that needs none, and a call works", async (t) => {
  const conclave = await withWorkerThatBegins(t, "WebAssembly.validate = () => false;");
  const link = await conclave.makeRoom();
  const ada = await calls.joining(calls.chromium, "Ada", link);
  const ben = await calls.joining(calls.firefox, "Ben", link);
  await agreed([ada, ben]);
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
  assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
});
