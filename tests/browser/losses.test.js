// Sound that gets lost on the way from the relay: where the browser can ask for it again it comes again, and else the call goes on without.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { eventually, launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { Line } from "./lib/line.js";
import { hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

/** Keeps what the relay answered. */
function keepAnswers() {
  const answers = (globalThis.answers = []);
  const original = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function kept(description) {
    answers.push(description.sdp);
    return original.call(this, description);
  };
}

/** The lines of the last answer that are of sound. @param {Person} person @returns {Promise<string[]>} */
const soundLines = (person) =>
  person.page.evaluate(() => globalThis.answers.at(-1).split(/^(?=m=)/m).filter((section) => section.startsWith("m=audio") && !section.includes("a=inactive")));

/** RTP of sound: short, and no RTCP. @param {Buffer} datagram */
const isSound = (datagram) => datagram[0] >> 6 === 2 && datagram[1] >> 5 !== 6 && datagram.length < 300;

for (const [watching, asksAgain] of /** @type {const} */ ([["chromium", true], ["firefox", false]])) {
  describe(`sound that is lost on its way to ${watching}`, () => {
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

    before(async () => {
      conclave = await Conclave.start();
      line = await Line.open(conclave.place.media);
      for (const kind of ["chromium", watching]) browsers.push(await launch(kind));
      ada = await Person.open(browsers[0], "Ada");
      const link = await ada.start(conclave.url);
      ben = await Person.open(browsers[1], "Ben");
      await line.carry(ben, conclave.place.media);
      await ben.page.evaluateOnNewDocument(keepAnswers);
      await ben.join(link);
      for (const person of [ada, ben]) await person.click("camera");
      await agreed([ada, ben]);
      await Promise.all([hears(ada), hears(ben)]);
    });
    after(async () => {
      await Promise.all([ada?.close(), ben?.close()]);
      for (const browser of browsers) await browser.close();
      line?.close();
      await conclave?.end();
    });

    /** What Ben's browser counts of Ada's sound. */
    const inbound = async () => (await ben.rtc()).find((entry) => entry.type === "inbound-rtp" && entry.kind === "audio");

    test(`RELY-15: NACK is ${asksAgain ? "" : "not "}agreed on, for sound in both directions`, async () => {
      const lines = await soundLines(ben);
      assert.equal(lines.length, 2, "Ben's microphone, and Ada's");
      for (const section of lines) assert.equal(/^a=rtcp-fb:\d+ nack\r$/m.test(section), asksAgain, section);
      // A packet with a transport-wide number could not come again as it was.
      for (const section of lines) assert.equal(!section.includes("transport-wide-cc"), asksAgain, section);
    });

    test(`RELY-15: what is lost ${asksAgain ? "comes again" : "is missed, and the call goes on"}`, async (t) => {
      const before = await inbound();
      let count = 0;
      line.loses = (datagram) => isSound(datagram) && (count += 1) % 10 === 0;
      await pause(10_000);
      line.loses = () => false;
      const lost = line.dropped;
      assert.ok(lost > 20, `${lost}`);
      await hears(ben);
      const missed = await eventually("what was asked for is there", async () => {
        const after = await inbound();
        const missed = (after.packetsLost ?? 0) - (before.packetsLost ?? 0);
        if (!asksAgain || missed <= lost / 4) return { missed, nacks: (after.nackCount ?? 0) - (before.nackCount ?? 0) };
        throw new Error(`${missed} of ${lost} missing, ${after.nackCount} NACKs`);
      });
      t.diagnostic(`${watching}: ${lost} of ${count} lost, ${missed.missed} missing in the end, ${missed.nacks} NACKs`);
      assert.equal(missed.nacks > 0, asksAgain);
      if (!asksAgain) assert.ok(missed.missed >= lost / 2);
    });

    test("no frame failed to decrypt", async () => {
      assert.deepEqual(await ben.refused({ newcomer: true }), {});
      assert.deepEqual([...ada.errors, ...ben.errors], []);
    });
  });
}
