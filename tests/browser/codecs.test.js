// Each codec that a browser can encode: its frames arrive and are decoded, and the relay saw nothing of them (C1).
import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { launch } from "./lib/browser.js";
import { Conclave, runToEnd } from "./lib/conclave.js";
import { decodedShare, hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

/** Firefox has no H.264 encoder here and no decoder either, so that call is Chromium's alone. */
const CALLS = [
  { codec: "vp8", first: "chromium", second: "firefox" },
  { codec: "vp9", first: "chromium", second: "firefox" },
  { codec: "av1", first: "chromium", second: "firefox" },
  { codec: "h264", first: "chromium", second: "chromium" },
];

/** @type {Record<string, import("puppeteer-core").Browser>} */
const browsers = {};
before(async () => {
  [browsers.chromium, browsers.firefox] = await Promise.all([launch("chromium"), launch("firefox")]);
});
after(() => Promise.all(Object.values(browsers).map((browser) => browser.close())));

for (const { codec, first, second } of CALLS) {
  describe(`a call in ${codec} and Opus between ${first} and ${second}`, () => {
    /** A server for each codec, since the capture must be of one call. @type {Conclave} */
    let conclave;
    /** @type {Person} */
    let ada;
    /** @type {Person} */
    let ben;

    before(async () => {
      conclave = await Conclave.start();
      const link = await conclave.makeRoom({ codec });
      ada = await Person.joining(browsers[first], "Ada", link);
      ben = await Person.joining(browsers[second], "Ben", link);
      await agreed([ada, ben]);
      await Promise.all([ada.sees("Ben"), ben.sees("Ada")]);
    });
    after(async () => {
      await Promise.all([ada?.close(), ben?.close()]);
      await conclave?.end();
    });

    test("is in that codec, both ways", async () => {
      for (const person of [ada, ben]) {
        const all = await person.rtc();
        const used = all.filter((entry) => entry.type === "inbound-rtp").map((entry) => all.find(({ id }) => id === entry.codecId)?.mimeType.toLowerCase());
        assert.deepEqual(new Set(used), new Set([`video/${codec}`, "audio/opus"]));
      }
    });

    test("at least 95 % of the frames sent are decoded, in each direction", async (t) => {
      const shares = await Promise.all([decodedShare(ada, ben), decodedShare(ben, ada)]);
      for (const [at, { decoded, sent, share, openedShare, height }] of shares.entries()) {
        assert.ok(openedShare >= 0.95, `${openedShare} of those sent were opened`);
        t.diagnostic(`${codec} by ${at === 0 ? first : second}: ${decoded} of ${sent} decoded, ${height} lines`);
        assert.ok(share >= 0.95, `${decoded} of ${sent}`);
      }
    });

    test("sound arrives whole, in each direction", async () => {
      await Promise.all([hears(ada), hears(ben)]);
    });

    test("no frame failed to decrypt", async () => {
      assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
    });

    test("the relay saw no 8 consecutive bytes of any encoder's output, and constant shells (C1)", async (t) => {
      const frames = [];
      for (const person of [ada, ben]) {
        const file = join(conclave.folder, `${person.name}.frames`);
        const dump = await person.dump();
        assert.ok(dump.length > 100_000, `only ${dump.length} bytes of encoder output`);
        await writeFile(file, dump);
        frames.push("--frames", file);
      }
      assert.ok((await readdir(conclave.relayTap)).length >= 4, "a capture for each of two cameras and two microphones");
      const { code, text } = await runToEnd(["audit", "blindness", ...frames, "--relay", conclave.relayTap]);
      t.diagnostic(text);
      assert.equal(code, 0, text);
    });

    test("the same audit finds a frame that did leave in clear", async () => {
      // Else the test above could pass by looking at nothing: the relay's own capture, given out as an encoder's output.
      const [capture] = (await readdir(conclave.relayTap)).map((name) => join(conclave.relayTap, name));
      const file = join(conclave.folder, "leaked.frames");
      await writeFile(file, await asFrames(capture));
      const { code, text } = await runToEnd(["audit", "blindness", "--frames", file, "--relay", conclave.relayTap]);
      assert.equal(code, 1, text);
    });
  });
}

/** The first packets of a relay's capture as records of an encoder's output. @param {string} capture */
async function asFrames(capture) {
  const bytes = await readFile(capture);
  const records = [];
  for (let at = 0; at + 9 <= bytes.length && records.length < 200; ) {
    const length = bytes.readUInt32BE(at);
    if (at + 9 + length > bytes.length) break;
    const header = Buffer.alloc(11);
    header.writeUInt32BE(length, 0);
    header.writeUInt32BE(bytes.readUInt32BE(at + 4), 7);
    records.push(header, bytes.subarray(at + 9, at + 9 + length));
    at += 9 + length;
  }
  return Buffer.concat(records);
}
