// Who gets which pictures, and how large: by what is on the receiver's screen. What nobody looks at is not sent.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { eventually, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { agreed, Person } from "./lib/person.js";

/** @typedef {"chromium" | "firefox"} Kind */

/** A window in which one of two tiles, beside the panel, is higher than the middle layer. */
const LARGE = { width: 2560, height: 1440 };

/** Encoded frames of each stream of a sender's camera and screen, by its SSRC. @param {Person} sender */
async function encoded(sender) {
  const all = (await sender.rtc()).filter((entry) => entry.type === "outbound-rtp" && entry.kind === "video");
  return new Map(all.map((entry) => [entry.ssrc, { rid: entry.rid ?? "f", frames: entry.framesEncoded ?? 0 }]));
}

/** The layers in which frames are made now. @param {Person} sender */
async function layers(sender, span = 1_500) {
  const first = await encoded(sender);
  await pause(span);
  const second = await encoded(sender);
  const grown = [...second].filter(([ssrc, { frames }]) => frames > (first.get(ssrc)?.frames ?? 0));
  return grown.map(([, { rid }]) => rid).toSorted();
}

/** Waits until frames are made in these layers and no others. @param {Person} sender @param {string[]} rids */
const sends = (sender, rids) =>
  eventually(`${sender.name} sends ${rids.join(", ") || "nothing"}`, async () => {
    const found = await layers(sender);
    if (JSON.stringify(found) === JSON.stringify(rids.toSorted())) return true;
    throw new Error(`sends ${found}`);
  }, { within: 45_000 });

/** Waits until the picture that arrives has at most, or at least, this height. @param {Person} watcher @param {string} name @param {(height: number) => boolean} fits */
const arrives = (watcher, name, what, fits) =>
  eventually(`${name}'s picture arrives ${what} at ${watcher.name}`, async () => {
    const inbound = await watcher.inbound(name);
    if (inbound && fits(inbound.frameHeight ?? 0)) return true;
    throw new Error(`${inbound?.frameHeight}`);
  }, { within: 45_000 });

/** Lays the tiles out of sight, as scrolling does, or back. @param {Person} person @param {boolean} away */
const scroll = (person, away) =>
  person.page.$eval('[data-testid="tiles"]', (tiles, away) => {
    tiles.style.transform = away ? "translateY(20000px)" : "";
  }, away);

const tile = (person, name) =>
  person.page.$eval(`[data-testid="tile"][data-name="${name}"]`, (tile) => ({ ...tile.dataset, first: tile === tile.parentElement.firstElementChild }));

for (const [sending, watching] of /** @type {[Kind, Kind][]} */ ([["chromium", "firefox"], ["firefox", "chromium"]])) {
  describe(`a camera in ${sending}, watched in ${watching}`, () => {
    /** @type {Conclave} */
    let conclave;
    /** @type {import("puppeteer-core").Browser[]} */
    const browsers = [];
    /** @type {Person} */
    let ada;
    /** @type {Person} */
    let ben;

    before(async () => {
      conclave = await Conclave.start();
      for (const kind of [sending, watching]) browsers.push(await launch(kind));
      const link = await conclave.makeRoom();
      ada = await Person.joining(browsers[0], "Ada", link);
    });
    after(async () => {
      await Promise.all([ada?.close(), ben?.close()]);
      for (const browser of browsers) await browser.close();
      await conclave?.end();
    });

    test("CLNT-32: alone, nothing is encoded", async () => {
      await sends(ada, []);
    });

    test("CLNT-32: nor after something else was agreed on with the relay", async () => {
      await ada.click("screen");
      await ada.find("screen-tile");
      await sends(ada, []);
      await ada.click("screen");
      await eventually("no screen at Ada", async () => (await ada.view()).screens.length === 0);
      await sends(ada, []);
    });

    test("CLNT-32: somebody comes, and sees", async () => {
      const link = await ada.attribute("copy-link", "data-link");
      ben = await Person.joining(browsers[1], "Ben", link);
      await agreed([ada, ben]);
      await ben.sees("Ada");
    });

    test("CLNT-31: a large picture comes large, and the layer that nobody gets is not sent", async () => {
      await ben.page.setViewport(LARGE);
      await arrives(ben, "Ada", "large", (height) => height > 360);
      await sends(ada, ["f", "q"]);
    });

    test("CLNT-31: in a small window it comes small, and nothing larger is sent", async () => {
      await ben.page.setViewport({ width: 420, height: 420 });
      await arrives(ben, "Ada", "small", (height) => height > 0 && height <= 360);
      const small = await layers(ada);
      await eventually("the large layer is not sent", async () => !(await layers(ada)).includes("f"), { within: 30_000 });
      assert.ok(small.length > 0);
      await ben.sees("Ada");
    });

    test("CLNT-31: out of sight nothing comes, and nothing is sent", async () => {
      await scroll(ben, true);
      await eventually("no more frames at Ben", async () => {
        const first = await ben.opened("Ada");
        await pause(1_000);
        return first === (await ben.opened("Ada"));
      });
      await sends(ada, []);
    });

    test("CLNT-31: back in sight, the picture is back with a key frame", async () => {
      await scroll(ben, false);
      await ben.page.setViewport(LARGE);
      await ben.sees("Ada");
      await arrives(ben, "Ada", "large", (height) => height > 360);
    });

    test("CLNT-31: whoever turns to another tab gets no picture until they are back", async () => {
      await ben.page.evaluate(() => globalThis.turn(false));
      await sends(ada, []);
      await ben.page.evaluate(() => globalThis.turn(true));
      await ben.sees("Ada");
    });

    test("CLNT-32: a shared screen that nobody looks at is not sent either", async () => {
      await ada.click("screen");
      await ben.sees("Ada", { testid: "screen-tile" });
      await ben.page.evaluate(() => globalThis.turn(false));
      await sends(ada, []);
      await ben.page.evaluate(() => globalThis.turn(true));
      await ben.sees("Ada", { testid: "screen-tile" });
      await ada.click("screen");
      await eventually("no screen at Ben", async () => (await ben.view()).screens.length === 0);
    });

    test("CLNT-30: who speaks is heard by the one who listens, and no more when muted", async () => {
      await eventually("Ben sees that Ada speaks", async () => (await tile(ben, "Ada")).speaking === "true");
      await ada.click("microphone");
      await eventually("Ben sees that Ada is silent", async () => (await tile(ben, "Ada")).speaking === "false");
    });

    test("CLNT-31: a pinned person comes first", async () => {
      await ben.click("pin");
      await eventually("Ada is pinned", async () => {
        const { pinned, first } = await tile(ben, "Ada");
        return pinned === "true" && first;
      });
      await ben.click("pin");
      await eventually("Ada is not pinned", async () => (await tile(ben, "Ada")).pinned === "false");
    });

    test("and of all that nothing was refused", async () => {
      assert.deepEqual(await ben.refused({ newcomer: true }), {});
      assert.deepEqual([...ada.errors, ...ben.errors], []);
    });
  });
}
