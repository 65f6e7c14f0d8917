// Two people in every pairing of the two browsers: they see and hear each other, and their pages say the same.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { KINDS, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { decodedShare, hears } from "./lib/measure.js";
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

for (const first of KINDS) {
  for (const second of KINDS) {
    describe(`a call that ${first} starts and ${second} joins`, () => {
      /** @type {Person} */
      let ada;
      /** @type {Person} */
      let ben;

      before(async () => {
        ada = await Person.open(browsers[first], "Ada Lovelace");
        const link = await ada.start(conclave.url);
        ben = await Person.joining(browsers[second], "Ben Okri", link);
      });
      after(() => Promise.all([ada?.close(), ben?.close()]));

      test("both pages show the same epoch, meeting code and roster, with the names from the certificates (C2, PF-37)", async () => {
        const { code, roster } = await agreed([ada, ben]);
        assert.match(code, /^(\d{5} ){7}\d{5}$/);
        assert.deepEqual(new Set(roster.map(({ trust }) => trust)), new Set(["checked"]));
      });

      test("they see each other", async () => {
        await Promise.all([ada.sees("Ben Okri"), ben.sees("Ada Lovelace")]);
      });

      test("they hear each other, and nothing of it is made up", async () => {
        await Promise.all([hears(ada), hears(ben)]);
      });

      test("no frame was refused, and 95 % of those sent are decoded", async () => {
        const shares = await Promise.all([decodedShare(ada, ben), decodedShare(ben, ada)]);
        for (const { decoded, sent, share, openedShare } of shares) {
          assert.ok(openedShare >= 0.95, `${openedShare} of those sent were opened`);
          assert.ok(share >= 0.95, `${decoded} of ${sent}`);
        }
        assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
      });

      test("nothing went wrong in the pages", () => {
        assert.deepEqual([...ada.errors, ...ben.errors], []);
      });
    });
  }
}
