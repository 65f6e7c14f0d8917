// Chat: MLS private messages, by name and in order, readable to those who were there.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { agreed, Person } from "./lib/person.js";

/** @type {Conclave} */
let conclave;
/** @type {import("puppeteer-core").Browser[]} */
let browsers = [];

before(async () => {
  conclave = await Conclave.start({ level: "debug" });
  browsers = await Promise.all([launch("chromium"), launch("firefox")]);
});
after(async () => {
  await Promise.all(browsers.map((browser) => browser.close()));
  await conclave?.end();
});

test("what one writes the other reads, both ways; the server reads nothing and a later comer neither", async () => {
  const link = await conclave.makeRoom();
  const ada = await Person.joining(browsers[0], "Ada", link);
  const ben = await Person.joining(browsers[1], "Ben", link);
  await agreed([ada, ben]);

  const reads = (/** @type {Person} */ person, /** @type {string[]} */ lines) =>
    eventually(`${person.name} reads ${lines.join(" | ")}`, async () => {
      const chat = await person.chat();
      if (JSON.stringify(chat) === JSON.stringify(lines)) return true;
      throw new Error(JSON.stringify(chat));
    });
  await ada.write("the door is locked <b>& bolted</b>");
  await reads(ben, ["Ada: the door is locked <b>& bolted</b>"]);
  await reads(ada, ["You: the door is locked <b>& bolted</b>"]);
  await ben.write("so I hear 🗝");
  await reads(ada, ["You: the door is locked <b>& bolted</b>", "Ben: so I hear 🗝"]);

  const cleo = await Person.joining(browsers[0], "Cleo", link);
  await agreed([ada, ben, cleo]);
  await ada.write("welcome");
  await reads(cleo, ["Ada: welcome"]);

  for (const secret of ["the door is locked", "so I hear"]) assert.ok(!conclave.words.includes(secret), "chat in the server's log");
  await Promise.all([ada, ben, cleo].map((person) => person.close()));
});
