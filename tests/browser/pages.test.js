// Every state of the page, in both browsers and two widths: it says what it should, nothing hangs over the edge, and a picture of
// it is kept beside the tested programs, under `screens`, for a person to look at.
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { eventually, KINDS, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { program } from "./lib/needs.js";
import { Person } from "./lib/person.js";
import { watchWorkers } from "./lib/workers.js";

const SCREENS = join(dirname(program()), "screens");
const SIZES = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
];

/** @type {Conclave} */
let conclave;
before(async () => {
  await mkdir(SCREENS, { recursive: true });
  // The page as it is released, without taps.
  conclave = await Conclave.start({ tap: false });
});
after(() => conclave?.end());

for (const kind of KINDS) {
  describe(`the page in ${kind}`, () => {
    /** @type {import("puppeteer-core").Browser} */
    let browser;
    before(async () => (browser = await launch(kind)));
    after(() => browser?.close());

    for (const size of SIZES) {
      /** @param {Person} person @param {string} state */
      const keep = async (person, state) => {
        const wide = await person.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        await person.page.screenshot({ path: join(SCREENS, `${state}.${kind}.${size.width}.png`) });
        const short = await person.page.$$eval('[data-testid="tile"] video', (all) => all.filter((video) => video.clientHeight < video.parentElement.clientHeight).length);
        assert.equal(short, 0, `in ${state}, ${short} pictures do not fill their tiles`);
        assert.ok(wide <= 0, `${state} hangs ${wide} pixels over the edge`);
      };
      const open = (/** @type {string} */ name) => Person.open(browser, name, size);
      /** Anybody else in the call, who only has to be there. */
      const other = async (/** @type {string} */ name, /** @type {string} */ link) => {
        const person = await Person.open(browser, name);
        await person.join(link);
        return person;
      };
      const shows = (/** @type {Person} */ person, /** @type {string} */ name) =>
        eventually(`${name} on the page`, async () => ((await person.picture(name))?.light ?? 0) > 40, { within: 30_000 });

      describe(`at ${size.width} pixels`, () => {
        test("before a meeting: the start, the door, and getting in", async () => {
          const ada = await open("Ada Lovelace");
          await ada.page.goto(conclave.url);
          await ada.find("start");
          await keep(ada, "start");

          await ada.page.evaluateOnNewDocument(() => {
            // Signing in never ends, so that there is time to look.
            const real = window.fetch;
            window.fetch = (input, init) => (String(input).includes("/sessions") ? new Promise(() => undefined) : real(input, init));
          });
          await ada.page.goto(await conclave.makeRoom());
          await ada.find("join");
          await eventually("one's own picture at the door", () => ada.page.$eval("video", (video) => video.videoWidth > 0));
          await keep(ada, "join");
          await ada.fillName();
          await ada.click("go");
          await ada.find("connecting");
          await keep(ada, "connecting");
          await ada.close();
        });

        test("links that lead nowhere: incomplete, to no room, and to another organisation", async () => {
          const ada = await open("Ada Lovelace");
          const link = await conclave.makeRoom();
          await ada.page.goto(link.slice(0, -3));
          await ada.find("incomplete-link");
          await keep(ada, "incomplete-link");
          await ada.close();

          const ben = await open("Ben Okri");
          await ben.page.goto(link.replace(/\/m\/[^#]+/, "/m/no-such-room"));
          await ben.fillName();
          await ben.click("go");
          await ben.find("failed-room-not-found");
          await keep(ben, "room-not-found");
          await ben.close();

          const cleo = await open("Cleo de Mérode");
          await cleo.page.goto(link.replace(/#./, (start) => (start === "#A" ? "#B" : "#A")));
          await cleo.fillName();
          await cleo.click("go");
          await cleo.find("failed-wrong-root");
          await keep(cleo, "wrong-root");
          await cleo.close();
        });

        test("in a meeting: alone, with two, with three, the panels, and after leaving", async () => {
          const ada = await open("Ada Lovelace");
          const link = await ada.start(conclave.url);
          await shows(ada, "Ada Lovelace");
          await keep(ada, "call-alone");

          const ben = await other("Ben Okri", link);
          await shows(ada, "Ben Okri");
          await keep(ada, "call-two");
          const cleo = await other("Cleo de Mérode", link);
          await shows(ada, "Cleo de Mérode");
          await keep(ada, "call-three");

          await ada.openPanel("security");
          await keep(ada, "security");
          await ben.write("Good morning. Can everybody hear me?");
          await ada.openPanel("chat");
          await ada.write("Loud and clear.");
          await eventually("both lines", async () => (await ada.chat()).length === 2);
          await keep(ada, "chat");
          await ben.click("screen");
          await ada.find("screen-tile");
          await eventually("the shared screen", async () => ((await ada.picture("Ben Okri", "screen-tile"))?.light ?? 0) > 40, { within: 30_000 });
          if (size.width < 500) await ada.click("close-panel");
          await keep(ada, "screen-share");

          await ada.leave();
          await ada.find("left");
          await keep(ada, "left");
          assert.deepEqual(ada.errors, []);
          await Promise.all([ada, ben, cleo].map((person) => person.close()));
        });

        test("the server gone: at the door and in a call", async () => {
          const link = await conclave.makeRoom();
          const ada = await open("Ada Lovelace");
          await ada.join(link);
          const ben = await open("Ben Okri");
          await ben.page.goto(link);
          await ben.fillName();
          await conclave.down();
          try {
            await ben.click("go");
            await ben.find("failed-server-unreachable");
            await keep(ben, "server-gone-at-the-door");
            await ada.find("connection");
            await keep(ada, "server-gone-in-the-call");
          } finally {
            await conclave.up();
          }
          await Promise.all([ada, ben].map((person) => person.close()));
        });

        test("the encryption engine silent, started anew, and gone for good", async () => {
          const ada = await open("Ada Lovelace");
          await ada.page.evaluateOnNewDocument(watchWorkers);
          const link = await conclave.makeRoom();
          await ada.join(link);
          const ben = await other("Ben Okri", link);
          await shows(ada, "Ben Okri");
          const says = (/** @type {RegExp} */ words) =>
            eventually(String(words), () => ada.page.$eval('[data-testid="connection"]', (line, words) => new RegExp(words, "i").test(line.textContent), words.source), { every: 50 });
          // Without a server the next engine is on its way for as long as it takes to look.
          await conclave.down();
          try {
            await ada.page.evaluate(() => {
              globalThis.deaf = true;
              globalThis.workers.at(-1).terminate();
            });
            await says(/engine does not answer/);
            await keep(ada, "engine-silent");
            await says(/engine stopped/);
            await keep(ada, "engine-starting-anew");
          } finally {
            await conclave.up();
          }
          await ada.inCall();
          await shows(ada, "Ben Okri");
          await keep(ada, "engine-back");
          await ada.page.evaluate(() => {
            globalThis.deaf = false;
            globalThis.doomed = true;
            globalThis.workers.at(-1).terminate();
          });
          await ada.find("failed-worker-died");
          await keep(ada, "engine-gone");
          await Promise.all([ada, ben].map((person) => person.close()));
        });
      });
    }
  });
}
