// One's own devices in a call: microphone, camera, shared screen (PF-29). Whatever is switched, the rest goes on.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { eventually, KINDS, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { goesOn, hears, hearsSilence } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

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

for (const kind of KINDS) {
  const other = kind === "chromium" ? "firefox" : "chromium";
  describe(`in ${kind}, seen from ${other},`, () => {
    /** Who switches. @type {Person} */
    let ada;
    /** Who watches. @type {Person} */
    let ben;

    before(async () => {
      const link = await conclave.makeRoom();
      ada = await Person.joining(browsers[kind], "Ada", link);
      ben = await Person.joining(browsers[other], "Ben", link);
      await agreed([ada, ben]);
      await Promise.all([ben.sees("Ada"), ada.sees("Ben"), hears(ben)]);
    });
    after(() => Promise.all([ada?.close(), ben?.close()]));

    const device = (/** @type {string} */ id, /** @type {string} */ state) =>
      eventually(`Ada's ${id} ${state}`, async () => (await ada.attribute(id, "data-state")) === state);
    const tile = async (/** @type {string} */ name) => (await ben.view()).tiles.find((tile) => tile.name === name);

    test("muting makes silence, and unmuting sound", async () => {
      await ada.click("microphone");
      await device("microphone", "off");
      await hearsSilence(ben);
      await goesOn(ben, ada);
      await ada.click("microphone");
      await device("microphone", "on");
      await hears(ben);
    });

    test("the camera off takes the picture away, and on brings a new track's", async () => {
      await ada.click("camera");
      await device("camera", "off");
      await eventually("Ada without a picture at Ben", async () => (await ben.picture("Ada")) === null && (await tile("Ada"))?.picture !== "live");
      await hears(ben);
      await ada.click("camera");
      await device("camera", "on");
      await ben.sees("Ada");
    });

    test("a shared screen comes as a tile of its own and goes again, twice", async () => {
      for (let round = 1; round <= 2; round += 1) {
        await ada.click("screen");
        await device("screen", "on");
        await ben.sees("Ada", { testid: "screen-tile" });
        await goesOn(ben, ada);
        await ada.click("screen");
        await device("screen", "off");
        await eventually("no shared screen at Ben", async () => (await ben.view()).screens.length === 0);
        await goesOn(ben, ada);
      }
    });

    test("another camera takes the place of the running one without a gap in the keys", async () => {
      await ada.page.evaluate(() => globalThis.conclaveTap.replaceCamera());
      await goesOn(ben, ada, { frames: 30 });
      await ben.sees("Ada");
    });

    test("and of all that nothing was refused", async () => {
      assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
      assert.deepEqual([...ada.errors, ...ben.errors], []);
    });
  });
}
