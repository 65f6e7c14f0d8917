// Frames that nobody sealed as they are: forged, flipped, cut short, replayed, in clear. They are dropped and counted, and
// disturb nothing (PF-10, PF-12, PF-20, PF-26).
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { eventually, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { behave, hostileWebApp } from "./lib/hostile.js";
import { goesOn, hears } from "./lib/measure.js";
import { webApp } from "./lib/needs.js";
import { agreed, Person } from "./lib/person.js";

/** @type {string} */
let folder;
/** @type {Conclave} */
let conclave;
/** @type {import("puppeteer-core").Browser[]} */
let browsers = [];
/** @type {Person} */
let ada;
/** @type {Person} */
let ben;
/** @type {Person} */
let mallory;
/** Mallory's leaf. @type {number} */
let leaf;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "conclave-hostile-"));
  conclave = await Conclave.start({ web: await hostileWebApp(webApp({ tap: true }), join(folder, "web")) });
  browsers = await Promise.all([launch("chromium"), launch("firefox")]);
  const link = await conclave.makeRoom();
  ada = await Person.joining(browsers[0], "Ada", link);
  ben = await Person.joining(browsers[1], "Ben", link);
  mallory = await Person.joining(browsers[0], "Mallory", link);
  const { roster } = await agreed([ada, ben, mallory]);
  leaf = Number(roster.find(({ name }) => name === "Mallory")?.leaf);
  await Promise.all([ada.sees("Ben"), ada.sees("Mallory"), hears(ada)]);
});
after(async () => {
  await Promise.all([ada, ben, mallory].map((person) => person?.close()));
  await Promise.all(browsers.map((browser) => browser.close()));
  await conclave?.end();
  await rm(folder, { recursive: true, force: true });
});

/** What came from Mallory at Ada, and what from Ben. */
async function atAda() {
  const sum = { passed: 0, dropped: 0, why: /** @type {Set<string>} */ (new Set()), others: /** @type {Record<string, number>[]} */ ([]) };
  for (const transform of await ada.transforms()) {
    if (transform.role !== "open") continue;
    if (transform.leaf !== leaf) {
      // What came twice says nothing of Mallory (`Person.refused`).
      const { replayed: _, ...dropped } = transform.dropped;
      sum.others.push(dropped);
      continue;
    }
    sum.passed += transform.passed;
    for (const [why, count] of Object.entries(transform.dropped)) {
      sum.dropped += count;
      sum.why.add(why);
    }
  }
  return sum;
}

describe("a member sends, through the relay, frames that are", () => {
  for (const malice of /** @type {const} */ (["flip", "cut", "noise", "replay", "clear"])) {
    const words = { flip: "changed in one bit", cut: "cut short", noise: "noise in a shell", replay: "replays", clear: "not sealed at all" };
    test(`${words[malice]}: all are dropped and counted, the others go on, and the next good one works`, async (t) => {
      const before = await atAda();
      await behave(mallory, malice);
      // What was sealed well is still on its way for a moment.
      const begun = await eventually("the first bad frames", async () => {
        const now = await atAda();
        return now.dropped >= before.dropped + 20 && now;
      });
      const later = await eventually("more bad frames", async () => {
        const now = await atAda();
        return now.dropped >= begun.dropped + 60 && now;
      });
      t.diagnostic(`dropped ${later.dropped - before.dropped}, for ${[...later.why].join(", ")}`);
      // A frame of a layer that the relay had not forwarded before is new once, and only once.
      const fresh = malice === "replay" ? 2 : 0;
      assert.ok(later.passed - begun.passed <= fresh, `${later.passed - begun.passed} bad frames were opened`);
      await eventually("no picture of Mallory", async () => (await ada.view()).tiles.find((tile) => tile.name === "Mallory")?.picture !== "live");

      await Promise.all([goesOn(ada, ben), hears(ada, { of: 1 })]);
      for (const dropped of (await atAda()).others) assert.deepEqual(dropped, {});

      await behave(mallory, null);
      await ada.sees("Mallory");
    });
  }
});

test("forged copies of another's frames, by the thousand, are dropped one by one, and that person's media goes on (PF-26)", async (t) => {
  const frames = await ben.sealsNow(20);
  const plain = frames.map(({ stream, sealed }) => [stream === "camera" ? "video" : "audio", sealed]);
  const verdicts = await ada.page.evaluate(async (frames) => {
    const count = {};
    const encode = (/** @type {Uint8Array} */ bytes) => btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
    const attempt = async (/** @type {string} */ kind, /** @type {Uint8Array} */ bytes) => {
      const verdict = await globalThis.conclaveTap.open(kind, encode(bytes));
      count[verdict] = (count[verdict] ?? 0) + 1;
    };
    for (const [kind, sealed] of frames) {
      const bytes = Uint8Array.from(atob(sealed), (character) => character.charCodeAt(0));
      // Each bit of the beginning and of the tag, and some between.
      const places = [...Array(24).keys(), ...Array.from({ length: 16 }, (_, at) => bytes.length - 1 - at), Math.floor(bytes.length / 2)];
      for (const place of places.filter((place) => place >= 0 && place < bytes.length)) {
        const flipped = bytes.slice();
        flipped[place] ^= 1 << (place % 8);
        await attempt(kind, flipped);
      }
      for (const length of [0, 1, 2, 3, 10, 12, 16, 20, bytes.length - 17, bytes.length - 16, bytes.length - 1]) {
        if (length >= 0 && length < bytes.length) await attempt(kind, bytes.slice(0, length));
      }
      await attempt(kind, Uint8Array.of(...bytes.slice(0, 40), 0));
      await attempt(kind === "video" ? "audio" : "video", bytes);
    }
    return count;
  }, plain);
  t.diagnostic(JSON.stringify(verdicts));
  assert.equal(verdicts.opened, undefined);
  // Copies of frames that Ada got are replays before anything is decrypted; the others fail at their tag.
  assert.ok(verdicts["not-authentic"] > 20);
  await Promise.all([goesOn(ada, ben, { frames: 30 }), hears(ada, { of: 1 })]);
  for (const dropped of (await atAda()).others) assert.deepEqual(dropped, {});
});

test("a frame is opened once: the second time it is a replay (PF-12)", async () => {
  const frames = await mallory.sealsNow(30, { stream: "camera" });
  const verdicts = await ada.page.evaluate(async (frames) => {
    for (const sealed of frames) await globalThis.conclaveTap.open("video", sealed);
    return Promise.all(frames.map((sealed) => globalThis.conclaveTap.open("video", sealed)));
  }, frames.map(({ sealed }) => sealed));
  assert.deepEqual(new Set(verdicts), new Set(["replayed"]));
});

test("nothing went wrong in the pages over all that", async () => {
  assert.deepEqual([...ada.errors, ...ben.errors], []);
  await agreed([ada, ben, mallory]);
});
