// A camera in layers, in each codec that has them: inside one stream (VP9 and AV1, SVC) and as streams of their own (H.264, simulcast).
// Each receiver gets the layer that fits its screen and its line, whole, and nobody's choice is anybody else's.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { eventually, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { Line } from "./lib/line.js";
import { decodedShare, hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

/** Windows in which one of three tiles, beside the panel, is higher than the middle layer, or lower than the lowest. */
const LARGE = { width: 2560, height: 1800 };
const SMALL = { width: 420, height: 420 };

/** The sender is Chromium, which alone makes layers inside. Firefox has no H.264 here. */
const CALLS = /** @type {const} */ ([
  { codec: "vp9", watching: ["chromium", "firefox"], inside: true },
  { codec: "av1", watching: ["chromium", "firefox"], inside: true },
  { codec: "h264", watching: ["chromium", "chromium"], inside: false },
]);

/** How high the pictures are that somebody's camera is made into now: the highest layer of each stream. @param {Person} sender */
async function heights(sender) {
  const cameras = (entries) => entries.filter((entry) => entry.type === "outbound-rtp" && entry.kind === "video");
  const before = new Map(cameras(await sender.rtc()).map((entry) => [entry.id, entry.framesEncoded ?? 0]));
  await pause(1_500);
  const made = cameras(await sender.rtc()).filter((entry) => (entry.framesEncoded ?? 0) > (before.get(entry.id) ?? 0));
  return made.map(({ frameHeight }) => frameHeight);
}

/** Bits a second of all pictures that somebody receives now. @param {Person} watcher */
async function flows(watcher) {
  const bytes = async () => {
    const pictures = (await watcher.rtc()).filter((entry) => entry.type === "inbound-rtp" && entry.kind === "video");
    return pictures.reduce((sum, { bytesReceived }) => sum + (bytesReceived ?? 0), 0);
  };
  const [start, before] = [performance.now(), await bytes()];
  await pause(4_000);
  return ((await bytes()) - before) * 8_000 / (performance.now() - start);
}

for (const { codec, watching, inside } of CALLS) {
  describe(`a camera in ${codec}, in layers, watched in ${watching.join(" and ")}`, () => {
    /** @type {Conclave} */
    let conclave;
    /** @type {import("puppeteer-core").Browser[]} */
    const browsers = [];
    /** @type {Line} */
    let line;
    /** @type {Person} */
    let ada;
    /** @type {Person} */
    let ben;
    /** @type {Person} */
    let cleo;

    before(async () => {
      conclave = await Conclave.start();
      line = await Line.open(conclave.place.media);
      for (const kind of ["chromium", ...watching]) browsers.push(await launch(kind));
      const link = await conclave.makeRoom({ codec });
      ada = await Person.joining(browsers[0], "Ada", link);
      ben = await Person.joining(browsers[1], "Ben", link);
      cleo = await Person.open(browsers[2], "Cleo");
      await line.carry(cleo, conclave.place.media);
      await cleo.join(link);
      // Three cameras are more than this is about.
      for (const watcher of [ben, cleo]) await watcher.click("camera");
      await agreed([ada, ben, cleo]);
    });
    after(async () => {
      await Promise.all([ada?.close(), ben?.close(), cleo?.close()]);
      for (const browser of browsers) await browser.close();
      line?.close();
      await conclave?.end();
    });

    /** Waits for a height of Ada's picture. @param {Person} watcher @param {string} what @param {(height: number) => boolean} fits */
    const arrives = (watcher, what, fits) =>
      eventually(`Ada's picture ${what} at ${watcher.name}`, async () => {
        const height = (await watcher.inbound("Ada"))?.frameHeight ?? 0;
        if (fits(height)) return height;
        throw new Error(`${height} lines`);
      }, { within: 60_000 });

    /** @param {Person} watcher @param {import("node:test").TestContext} t */
    const whole = async (watcher, t) => {
      const { decoded, sent, share, openedShare, height } = await decodedShare(ada, watcher);
      t.diagnostic(`${codec} at ${watcher.name} in ${watcher.kind}: ${decoded} of ${sent} decoded, ${height} lines`);
      assert.ok(openedShare >= 0.95, `${openedShare} of the pictures sent were opened`);
      assert.ok(share >= 0.95, `${decoded} of ${sent}`);
    };

    test(`Ada sends ${inside ? "three layers inside one stream" : "three streams"} to large windows`, async () => {
      for (const watcher of [ben, cleo]) await watcher.page.setViewport(LARGE);
      await eventually("all layers", async () => {
        const cameras = (await ada.rtc()).filter((entry) => entry.type === "outbound-rtp" && entry.kind === "video");
        const told = JSON.stringify(cameras.map(({ rid, scalabilityMode }) => [rid, scalabilityMode]));
        if (!inside) assert.deepEqual(cameras.map(({ rid }) => rid).toSorted(), ["f", "h", "q"]);
        else if (cameras.length !== 1 || cameras[0].scalabilityMode !== "L3T3_KEY") throw new Error(told);
        return true;
      }, { within: 30_000 });
    });

    test("RELY-13: in large windows the large picture comes whole", async (t) => {
      for (const watcher of [ben, cleo]) await watcher.page.setViewport(LARGE);
      for (const watcher of [ben, cleo]) {
        await arrives(watcher, "is large", (height) => height > 360);
        await whole(watcher, t);
      }
    });

    test("RELY-13: a small window gets a small picture whole, and the other goes on with the large one", async (t) => {
      for (const [small, large] of [[ben, cleo], [cleo, ben]]) {
        await small.page.setViewport(SMALL);
        await large.page.setViewport(LARGE);
        await arrives(small, "is small", (height) => height > 0 && height <= 360);
        await arrives(large, "is large", (height) => height > 360);
        await whole(small, t);
        await whole(large, t);
      }
    });

    test("RELY-24: on a narrow line a smaller picture comes, and the sound goes on; on a wide one the large comes back", async (t) => {
      await cleo.page.setViewport(LARGE);
      const large = await arrives(cleo, "is large", (height) => height > 360);
      // Less than what flows now, however simple the picture is: half of it, and room for the sound.
      line.capacity = Math.min(700_000, 50_000 + (await flows(cleo)) / 2);
      await arrives(cleo, "is smaller", (height) => height > 0 && height < large);
      await hears(cleo);
      line.capacity = Infinity;
      await arrives(cleo, "is large again", (height) => height >= large);
      await whole(cleo, t);
    });

    test("CLNT-32: where all windows are small nothing larger is made, and the large picture is back when one grows", async () => {
      for (const watcher of [ben, cleo]) await watcher.page.setViewport(SMALL);
      await eventually("Ada makes nothing large", async () => {
        const made = await heights(ada);
        if (made.every((height) => height <= 360)) return true;
        throw new Error(`${made}`);
      }, { within: 45_000 });
      for (const watcher of [ben, cleo]) await watcher.sees("Ada");
      await ben.page.setViewport(LARGE);
      await arrives(ben, "is large", (height) => height > 360);
      await cleo.sees("Ada");
    });

    test("no frame failed to decrypt", async () => {
      const refused = [ben, cleo].map((watcher) => watcher.refused({ newcomer: true }));
      assert.deepEqual(await Promise.all(refused), [{}, {}]);
      assert.deepEqual([...ada.errors, ...ben.errors, ...cleo.errors], []);
    });
  });
}
