// A browser whose transform does not attach (PF-28, C6): the other way is taken, and where there is none, nothing is sent and the
// page says so.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "./lib/browser.js";
import { Calls } from "./lib/call.js";
import { Conclave } from "./lib/conclave.js";
import { hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

const calls = new Calls(() => Conclave.start());

/** Runs in a page before its own code: the transforms of what it sends go to a worker that never takes them up. */
function neverAttaches() {
  const Real = globalThis.RTCRtpScriptTransform;
  if (!Real) return;
  const idle = new Worker(URL.createObjectURL(new Blob(["onrtctransform = () => undefined;"], { type: "text/javascript" })));
  globalThis.RTCRtpScriptTransform = class {
    constructor(worker, options) {
      return new Real(options.role === "seal" ? idle : worker, options);
    }
  };
}

function hasNoOtherWay() {
  delete globalThis.RTCRtpSender?.prototype.createEncodedStreams;
}

/** @param {import("node:test").TestContext} t @param {import("puppeteer-core").Browser} browser @param {(() => void)[]} faults */
async function openFaulty(t, browser, faults) {
  const person = await Person.open(browser, "Ada");
  t.after(() => person.close());
  // The idle worker comes from a blob, which the page's own policy does not allow.
  await person.page.setBypassCSP(true);
  for (const fault of faults) await person.page.evaluateOnNewDocument(fault);
  return person;
}

test("where Chromium's transform never attaches, createEncodedStreams carries the call, and nothing is refused", async (t) => {
  const ada = await openFaulty(t, calls.chromium, [neverAttaches]);
  const link = await calls.conclave.makeRoom();
  await ada.join(link);
  const ben = await calls.joining(calls.firefox, "Ben", link);
  await agreed([ada, ben]);
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
  assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
});

test("where neither way is confirmed, nothing is sent, the page says so, and the others are still heard and seen", async (t) => {
  const ada = await openFaulty(t, calls.chromium, [neverAttaches, hasNoOtherWay]);
  const link = await calls.conclave.makeRoom();
  await ada.join(link);
  const ben = await calls.joining(calls.firefox, "Ben", link);
  await agreed([ada, ben]);
  await eventually("the page's words", async () => /not sending/i.test((await ada.view()).headline));
  await Promise.all([ada.sees("Ben"), hears(ada)]);

  await pause(3_000);
  // Frames may go into a transform that lets none out, and the browser counts them as sent; packets are what leaves.
  const sent = (await ada.rtc()).filter((entry) => entry.type === "outbound-rtp");
  assert.deepEqual(sent.map(({ bytesSent }) => bytesSent ?? 0).filter((count) => count > 0), [], "bytes of frames sent");
  const ofAda = (await ben.transforms()).filter(({ role }) => role === "open");
  assert.deepEqual(ofAda.map(({ passed, dropped }) => ({ passed, dropped })).filter(({ passed, dropped }) => passed > 0 || Object.keys(dropped).length > 0), [], "nothing of Ada came to Ben, good or bad");
  assert.equal((await ben.view()).tiles.find(({ name }) => name === "Ada")?.picture === "live", false);
});
