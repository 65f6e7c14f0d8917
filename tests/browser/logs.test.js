// The logs of a whole meeting, of the pages and of the server at its most talkative, hold no byte of a key or of media (PF-17).
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { leakOf, windowsOf } from "./lib/leaks.js";
import { hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

describe("the search for leaks", () => {
  const secret = randomBytes(32);
  const spellings = {
    hex: secret.toString("hex"),
    "upper hex in pairs": (secret.toString("hex").toUpperCase().match(/../g) ?? []).join(":"),
    base64: secret.toString("base64"),
    "base64url within more": `xyz${Buffer.concat([randomBytes(5), secret]).toString("base64url")}`,
    "Rust's Debug": `[${[...secret].join(", ")}]`,
    raw: secret.toString("latin1"),
  };
  for (const [name, spelling] of Object.entries(spellings)) {
    test(`finds a key written as ${name}`, () => {
      const text = Buffer.from(`INFO key=${spelling} done\n`, name === "raw" ? "latin1" : "utf8");
      assert.notEqual(leakOf(windowsOf(name === "raw" ? text.toString("latin1") : text.toString()), name === "raw" ? Buffer.from(secret.toString("latin1")) : secret), -1);
    });
  }
  test("and finds nothing where there is nothing", () => {
    assert.equal(leakOf(windowsOf(JSON.stringify(spellings)), randomBytes(1024)), -1);
  });
});

describe("a meeting with coming, going, chat, mute and a shared screen", () => {
  /** @type {Conclave} */
  let conclave;
  /** @type {import("puppeteer-core").Browser[]} */
  let browsers = [];
  let log = "";
  /** @type {Set<string>} */
  let windows;
  /** @type {Buffer[]} */
  let keys = [];
  /** @type {Buffer[]} */
  let frames = [];

  before(async () => {
    conclave = await Conclave.start({ level: "trace,hyper=info,h2=info,sqlx=debug" });
    browsers = await Promise.all([launch("chromium"), launch("firefox")]);
    const link = await conclave.makeRoom();
    const ada = await Person.joining(browsers[0], "Ada", link);
    const ben = await Person.joining(browsers[1], "Ben", link);
    await agreed([ada, ben]);
    await Promise.all([ada.sees("Ben"), ben.sees("Ada")]);
    const cleo = await Person.joining(browsers[0], "Cleo", link);
    await agreed([ada, ben, cleo]);
    await ada.write("nothing to see here");
    await ben.click("microphone");
    await ada.click("screen");
    await ben.sees("Ada", { testid: "screen-tile" });
    await cleo.leave();
    await cleo.find("left");
    await agreed([ada, ben]);
    await hears(ben);

    for (const person of [ada, ben]) {
      keys.push(...(await person.page.evaluate(() => globalThis.conclaveTap.baseKeys())).map((/** @type {string} */ key) => Buffer.from(key, "base64")));
      frames.push(...(await person.sealed()).flatMap(({ clear, sealed }) => [Buffer.from(clear, "base64"), Buffer.from(sealed, "base64")]));
    }
    await Promise.all([ada, ben].map((person) => person.leave()));
    log = [conclave.words, ...[ada, ben, cleo].flatMap((person) => [...person.log, ...person.errors])].join("\n");
    windows = windowsOf(log);
  });
  after(async () => {
    await Promise.all(browsers.map((browser) => browser.close()));
    await conclave?.end();
  });

  test("writes logs at all", () => {
    assert.ok(log.length > 1_000, `only ${log.length} characters`);
  });

  test("writes no 8 bytes of any epoch's base key", () => {
    assert.ok(keys.length >= 6, `only ${keys.length} keys`);
    for (const key of keys) {
      assert.equal(key.length, 16);
      assert.equal(leakOf(windows, key), -1);
    }
  });

  test("writes no 8 bytes of any frame, before or after sealing", () => {
    assert.ok(frames.length > 500, `only ${frames.length} frames`);
    for (const frame of frames) assert.equal(leakOf(windows, frame), -1, frame.toString("hex", 0, 40));
  });

  test("writes no word of the chat and no name", () => {
    assert.ok(!log.includes("nothing to see here"));
    for (const name of ["Ada", "Ben", "Cleo"]) assert.doesNotMatch(log, new RegExp(`\\b${name}\\b`));
  });
});
