// A receiver whose line becomes narrow gets less picture and all of the sound, and the large picture again when it is wide. Over real sockets.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { eventually, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { Line } from "./lib/line.js";
import { hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

for (const watching of /** @type {const} */ (["chromium", "firefox"])) {
  describe(`a narrow line to ${watching}`, () => {
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
    let large = 0;

    before(async () => {
      conclave = await Conclave.start();
      line = await Line.open(conclave.place.media);
      for (const kind of ["chromium", watching]) browsers.push(await launch(kind));
      ada = await Person.open(browsers[0], "Ada");
      const link = await ada.start(conclave.url);
      ben = await Person.open(browsers[1], "Ben");
      await line.carry(ben, conclave.place.media);
      await ben.join(link);
      await agreed([ada, ben]);
      await ben.sees("Ada");
    });
    after(async () => {
      await Promise.all([ada?.close(), ben?.close()]);
      for (const browser of browsers) await browser.close();
      line?.close();
      await conclave?.end();
    });

    /** Waits for a height of Ada's picture at Ben. @param {string} what @param {(height: number) => boolean} fits */
    const arrives = (what, fits) =>
      eventually(`Ada's picture ${what}`, async () => {
        const height = (await ben.inbound("Ada"))?.frameHeight ?? 0;
        if (fits(height)) return height;
        throw new Error(`${height} lines, ${line.dropped} dropped`);
      }, { within: 60_000 });

    test("RELY-24: on a wide line the large picture comes", async () => {
      large = await arrives("is large", (height) => height >= 360);
    });

    test("RELY-24: when the line becomes narrow a smaller one comes, and the sound goes on", async () => {
      line.capacity = 450_000;
      await arrives("is smaller", (height) => height > 0 && height < large);
      await hears(ben);
    });

    test("RELY-24: when the line is wide again the large one comes back", async () => {
      line.capacity = Infinity;
      await arrives("is large again", (height) => height >= large);
      await ben.sees("Ada");
    });

    test("nothing went wrong in the pages", () => {
      assert.deepEqual([...ada.errors, ...ben.errors], []);
    });
  });
}
