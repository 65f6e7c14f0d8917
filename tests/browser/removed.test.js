// Who was removed holds on to the keys they had: those open nothing that is sent a second after the removal (C5).
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { after, before, test } from "node:test";
import { eventually, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { agreed, Person } from "./lib/person.js";

/** @type {Conclave} */
let conclave;
/** @type {import("puppeteer-core").Browser[]} */
let browsers = [];

before(async () => {
  conclave = await Conclave.start();
  browsers = await Promise.all([launch("chromium"), launch("firefox")]);
});
after(async () => {
  await Promise.all(browsers.map((browser) => browser.close()));
  await conclave?.end();
});

test("a removed person's worker, kept alive with all its keys, opens no frame sent a second after the removal", async (t) => {
  const link = await conclave.makeRoom();
  const ada = await Person.joining(browsers[0], "Ada", link);
  const ben = await Person.joining(browsers[1], "Ben", link);
  const mallory = await Person.joining(browsers[0], "Mallory", link);
  await agreed([ada, ben, mallory]);
  await Promise.all([mallory.sees("Ada"), mallory.sees("Ben")]);

  // The worker goes on by itself: it neither hears of its removal nor wipes its keys.
  await mallory.page.evaluate(() => globalThis.conclaveTap.cutDelivery());
  const verdicts = async (/** @type {Person} */ sender) => tried(mallory, (await sender.sealed()).slice(-200));

  await Promise.all([ada.forgetSealed(), ben.forgetSealed()]);
  // Of the layers that the relay sends to nobody: the others are replays by now.
  const opened = await eventually("frames that Mallory still may open", async () => (await verdicts(ada)).opened);
  t.diagnostic(`before the removal Mallory opened ${opened} frames that the relay had not sent there`);

  await agreed([ada, ben]);
  await pause(1_000);
  await Promise.all([ada.forgetSealed(), ben.forgetSealed()]);
  for (const sender of [ada, ben]) {
    const frames = await eventually(`60 later frames of ${sender.name}`, async () => {
      await pause(1_000);
      const frames = await sender.sealed();
      return frames.length >= 60 && frames;
    });
    const found = await tried(mallory, frames);
    t.diagnostic(`after it, of ${frames.length} frames of ${sender.name}: ${JSON.stringify(found)}`);
    assert.equal(found.opened, undefined);
    assert.equal(Object.values(found).reduce((sum, count) => sum + count, 0), frames.length);
  }
  await Promise.all([ada, ben, mallory].map((person) => person.close()));
});

/**
 * What somebody's worker says of frames, counted.
 * @param {Person} person
 * @param {{ stream: string, sealed: string }[]} frames
 * @returns {Promise<Record<string, number>>}
 */
function tried(person, frames) {
  const plain = frames.map(({ stream, sealed }) => [stream === "camera" || stream === "screen" ? "video" : "audio", sealed]);
  return person.page.evaluate(async (frames) => {
    const count = {};
    for (const [kind, sealed] of frames) {
      const verdict = await globalThis.conclaveTap.open(kind, sealed);
      count[verdict] = (count[verdict] ?? 0) + 1;
    }
    return count;
  }, plain);
}
