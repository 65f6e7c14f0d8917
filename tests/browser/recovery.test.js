// A worker that dies or stands still, a throttled tab, a transform that fails: the call recovers by itself, with a key frame where
// one is needed, and nothing leaves in clear (CLNT-11, CLNT-15, CLNT-16, CLNT-17). How fast is measured by `cargo xtask bench recovery`.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { eventually, KINDS, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { goesOn, hears } from "./lib/measure.js";
import { long } from "./lib/needs.js";
import { agreed, Person } from "./lib/person.js";
import { listen, onlyStreams, watchWorkers } from "./lib/workers.js";

/** @type {Conclave} */
let conclave;
/** @type {Record<string, import("puppeteer-core").Browser>} */
const browsers = {};

before(async () => {
  conclave = await Conclave.start();
  for (const kind of KINDS) browsers[kind] = await launch(kind);
});
after(async () => {
  for (const browser of Object.values(browsers)) await browser.close();
  await conclave?.end();
});

/** Somebody whose page's workers can be reached. @param {string} kind @param {string} name @param {string} link @param {(() => void)[]} more */
async function watched(kind, name, link, more = []) {
  const person = await Person.open(browsers[kind], name);
  for (const script of [watchWorkers, listen, ...more]) await person.page.evaluateOnNewDocument(script);
  await person.join(link);
  return person;
}

/** @param {Person[]} people */
const allMeet = (people) => Promise.all(people.flatMap((one) => [hears(one), ...people.filter((other) => other !== one).map((other) => one.sees(other.name))]));

/** What a person's page said since the last call. @param {Person} person */
async function told(person) {
  return person.page.evaluate(() => globalThis.told.splice(0));
}

/** @param {Person} person */
const restarts = (person) => person.page.evaluate(() => globalThis.conclaveTap.restarts());

/**
 * Bytes of frames that came to the only other one in a call. (Browsers go on sending padding, repeats of earlier packets too, which
 * the sender counts as bytes and the relay leaves out.)
 * @param {Person} person
 */
async function received(person) {
  const streams = (await person.rtc()).filter((entry) => entry.type === "inbound-rtp");
  return streams.reduce((sum, { bytesReceived = 0 }) => sum + bytesReceived, 0);
}

for (const kind of KINDS) {
  const other = kind === "chromium" ? "firefox" : "chromium";

  describe(`in ${kind}, seen from ${other},`, () => {
    /** Whose worker fails. @type {Person} */
    let ada;
    /** @type {Person} */
    let ben;
    let epoch = 0;

    before(async () => {
      const link = await conclave.makeRoom();
      ada = await watched(kind, "Ada", link);
      ben = await Person.joining(browsers[other], "Ben", link);
      ({ epoch } = await agreed([ada, ben]));
      await allMeet([ada, ben]);
    });
    after(() => Promise.all([ada?.close(), ben?.close()]));

    /** Another worker brought Ada back: a new leaf and a new epoch, and everything is as before. */
    async function back() {
      const later = await agreed([ada, ben]);
      assert.ok(later.epoch > epoch, `epoch ${later.epoch} after ${epoch}`);
      epoch = later.epoch;
      await allMeet([ada, ben]);
    }

    test("an engine that panics is replaced: a new key, the old leaf gone, and the page says what happens (CLNT-11, PF-30)", async () => {
      const roster = async () => (await ada.view()).roster.find(({ name }) => name === "Ben")?.trust;
      await eventually("Ben compared, once he has been there for a while", async () => {
        if ((await roster()) !== "compared") await ada.click("compared");
        return (await roster()) === "compared";
      });
      await told(ada);
      await ada.page.evaluate(() => globalThis.conclaveTap.fail("panic"));
      await eventually("the page's words", async () => (await ada.page.evaluate(() => globalThis.told)).some(({ phase }) => phase === "restarting"));
      await back();
      assert.equal(await restarts(ada), 1);
      assert.equal(await roster(), "compared", "what Ada compared stands");
      const words = await told(ada);
      const meanwhile = words.filter(({ phase }) => phase === "restarting");
      assert.ok(meanwhile.every(({ headline }) => /starting encryption anew/i.test(headline)), JSON.stringify(meanwhile));
      assert.ok(meanwhile.every(({ connection }) => /nothing went out unencrypted.*on its way in/i.test(connection)), JSON.stringify(meanwhile));
      assert.match(words.at(-1).notices, /started anew and you are back/i);
      assert.doesNotMatch(words.map(({ notices }) => notices).join(), /Ada (joined|is out)/);
    });

    const deaths = { close: "that is gone without a word", ...(long && { throw: "with an uncaught exception", reject: "with an unhandled rejection" }) };
    for (const [how, words] of Object.entries(deaths)) {
      test(`a worker ${words} is replaced (CLNT-11)`, async () => {
        const count = await restarts(ada);
        // Starts in quick succession are an end, and these are not meant to be.
        if (count >= 2) await pause(60_000);
        await ada.page.evaluate((how) => globalThis.conclaveTap.fail(how), how);
        await back();
        assert.equal(await restarts(ada), count + 1);
      });
    }

    test("a worker that stands still for three seconds plays and sends nothing late, and goes on with a key frame (CLNT-16)", async () => {
      const count = await restarts(ada);
      const workers = await ada.page.evaluate(() => globalThis.workers.length);
      await ada.page.evaluate(() => globalThis.conclaveTap.stall(3_000));
      const late = async () => (await ada.transforms()).filter(({ dropped }) => (dropped.late ?? 0) > 0).map(({ role, stream }) => `${role} ${stream}`);
      await eventually("late frames, left out in both directions", async () => {
        const where = (await late()).join();
        return /seal camera/.test(where) && /seal microphone/.test(where) && /open camera/.test(where) && /open microphone/.test(where);
      });
      await allMeet([ada, ben]);
      await Promise.all([goesOn(ada, ben), goesOn(ben, ada)]);
      assert.equal(await restarts(ada), count, "the same worker");
      assert.equal(await ada.page.evaluate(() => globalThis.workers.length), workers + 1, "one was loaded beside it, and did not come into use");
      assert.equal((await ada.view()).epoch, epoch, "the same key");
      assert.deepEqual(await ben.refused({ newcomer: true }), {}, "nothing came to Ben but what was sealed");
    });

    test("a worker that stands still for longer is given up and replaced (CLNT-15)", async () => {
      const count = await restarts(ada);
      const workers = await ada.page.evaluate(() => globalThis.workers.length);
      await told(ada);
      await ada.page.evaluate(() => globalThis.conclaveTap.stall(60_000));
      await eventually("another worker", async () => (await restarts(ada)) === count + 1);
      await back();
      assert.ok((await told(ada)).some(({ connection }) => /does not answer/.test(connection)), "the page said so before");
      assert.equal(await ada.page.evaluate(() => globalThis.workers.length), workers + 1, "the one that was loaded meanwhile took its place");
    });

    for (const role of /** @type {const} */ (["seal", "open"])) {
      for (const media of long ? ["video", "audio"] : ["video"]) {
        const faults = async () => {
          const all = (await ada.transforms()).filter((one) => one.role === role && one.id.includes(media === "video" ? (role === "seal" ? "camera" : "video") : role === "seal" ? "microphone" : "audio"));
          return { fault: all.reduce((sum, { dropped }) => sum + (dropped.fault ?? 0), 0), repaired: all.reduce((sum, { repaired }) => sum + repaired, 0), ids: all.map(({ id }) => id).join() };
        };
        const order = (/** @type {string} */ how, /** @type {number} */ frames) =>
          ada.page.evaluate((role, media, how, frames) => globalThis.conclaveTap.fault(role, media, how, frames), role, media, how, frames);
        const goOn = () => Promise.all([goesOn(ada, ben), goesOn(ben, ada), hears(ada), hears(ben)]);

        test(`${role === "seal" ? "sent" : "received"} ${media} goes on after a frame whose data cannot be set, after a transform that threw, and after one that always throws (CLNT-17)`, async () => {
          const before = await faults();
          await order("data", 1);
          await eventually("the fault, counted", async () => (await faults()).fault === before.fault + 1);
          await order("step", 1);
          await eventually("the repair, counted", async () => (await faults()).repaired === before.repaired + 1);
          await goOn();
          assert.equal((await faults()).ids, before.ids, "by the same transforms");
          await order("step", 3);
          await eventually("another end in its place", async () => {
            const { ids } = await faults();
            return ids !== "" && ids !== before.ids;
          });
          await goOn();
          assert.equal((await ada.view()).epoch, epoch, "under the same key");
        });
      }
    }

    test("and of all that nothing was refused, and nobody else's transforms broke", async () => {
      assert.deepEqual(await ben.refused({ newcomer: true }), {});
      assert.ok((await ben.transforms()).every(({ repaired }) => repaired === 0));
      assert.deepEqual(ben.errors, []);
    });

    test("a worker that dies again and again is an end with its reason (CLNT-11)", async () => {
      await ada.page.evaluate(() => {
        globalThis.doomed = true;
        globalThis.workers.at(-1).terminate();
      });
      await ada.find("failed-worker-died");
      assert.match(await ada.page.$eval("main", (main) => main.textContent), /several times within a minute.*nothing went out unencrypted/i);
      await agreed([ben]);
    });
  });
}

test("tabs in the background, with throttled timers and a slow processor, stay in the call, and nobody is taken for dead (CLNT-15)", async (t) => {
  const link = await conclave.makeRoom();
  const hidden = [];
  for (const kind of KINDS) {
    const browser = await launch(kind, { throttled: true });
    t.after(() => browser.close());
    const person = await Person.open(browser, kind === "chromium" ? "Ada" : "Ben");
    await person.page.evaluateOnNewDocument(listen);
    await person.join(link);
    hidden.push(person);
  }
  await agreed(hidden);
  await allMeet(hidden);
  for (const { page, kind } of hidden) {
    if (kind === "chromium") await (await page.createCDPSession()).send("Emulation.setCPUThrottlingRate", { rate: 8 });
    const front = await page.browserContext().newPage();
    await front.bringToFront();
  }
  const timers = await Promise.all(hidden.map(({ page }) => page.evaluate(async () => {
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 50);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    clearInterval(timer);
    return { ticks, visibility: document.visibilityState };
  })));
  t.diagnostic(`of 80 ticks: ${JSON.stringify(timers)}`);
  // Longer than the key server waits for anybody (6 s), and than heartbeats lie apart (10 s), with an epoch in between.
  const cleo = await Person.joining(browsers.chromium, "Cleo", link);
  t.after(() => cleo.close());
  await agreed([...hidden, cleo]);
  await pause(12_000);
  await agreed([...hidden, cleo]);
  for (const person of hidden) {
    assert.equal(await restarts(person), 0, `${person.name}'s worker was replaced`);
    assert.doesNotMatch(JSON.stringify(await told(person)), /does not answer/);
    await goesOn(cleo, person);
  }
  assert.doesNotMatch((await cleo.view()).notices, /Nothing signed was heard/);
});

for (const [kind, way, scripts] of /** @type {const} */ ([["chromium", "script transforms", []], ["chromium", "createEncodedStreams", [onlyStreams]], ["firefox", "script transforms", []]])) {
  test(`with ${way} in ${kind}, no byte of a frame leaves once the worker is gone, even before the page knows (C6)`, async (t) => {
    const link = await conclave.makeRoom();
    const ada = await watched(kind, "Ada", link, scripts);
    const ben = await Person.joining(browsers[kind === "chromium" ? "firefox" : "chromium"], "Ben", link);
    t.after(() => Promise.all([ada.close(), ben.close()]));
    await agreed([ada, ben]);
    await allMeet([ada, ben]);
    await ada.page.evaluate(() => {
      globalThis.deaf = true;
      globalThis.workers.at(-1).terminate();
    });
    // What was sealed before may still be on its way.
    await pause(500);
    const then = await received(ben);
    await pause(1_500);
    const now = await received(ben);
    assert.equal(await restarts(ada), 0, "the page still believed in its worker");
    assert.ok(then > 0);
    assert.equal(now, then, "bytes of frames left without a worker");
    assert.deepEqual(await ben.refused({ newcomer: true }), {});

    if (scripts.length === 0 && !long) return;
    // It asks, and gets no answer.
    await eventually("another worker", async () => (await restarts(ada)) === 1);
    await agreed([ada, ben]);
    await allMeet([ada, ben]);
  });
}
