// The network between a browser and the relay changes under a call: other addresses, another port, no UDP at all.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { eventually } from "./lib/browser.js";
import { Calls } from "./lib/call.js";
import { SplitConclave } from "./lib/conclave.js";
import { goesOn, hears } from "./lib/measure.js";
import { Gate, Nat, OUTSIDE } from "./lib/network.js";
import { agreed } from "./lib/person.js";

/** @typedef {import("./lib/person.js").Person} Person */

/** @type {Nat} */
let nat;
/** @type {Gate} */
let gate;
const calls = new Calls(async () => {
  const media = (/** @type {number} */ port) => ["--media", `127.0.0.1:${port}`, "--public-ip", OUTSIDE, "--media-tcp", "off"];
  const conclave = await SplitConclave.start({ outside: OUTSIDE, media });
  nat = await Nat.open(conclave.place.media);
  gate = await Gate.open(conclave.signalling);
  return conclave;
});
after(() => {
  nat?.close();
  gate?.close();
});

/** The page's connections so far, by the names of their transforms. */
async function connections(/** @type {Person} */ person) {
  return [...new Set((await person.transforms()).map(({ id }) => id.split("-")[0]))];
}

async function twoInACall() {
  const two = await calls.two();
  const { ada, ben } = two;
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
  return { ...two, before: [await connections(ada), await connections(ben)] };
}

/** Both see and hear each other, over the connections they had, in the epoch they were in. */
async function wentOn({ ada, ben, epoch, before }) {
  await Promise.all([goesOn(ada, ben), goesOn(ben, ada), hears(ada), hears(ben)]);
  assert.deepEqual([await connections(ada), await connections(ben)], before, "no new connection, so the same media keys");
  assert.equal((await agreed([ada, ben])).epoch, epoch, "the group was not touched");
  assert.deepEqual([await refused(ada), await refused(ben)], [{}, {}]);
}

/** What is asked for again because a way died may come by both ways: the second one is dropped, and that is all. */
async function refused(/** @type {Person} */ person) {
  const { replayed: _, ...others } = await person.refused({ newcomer: true });
  return others;
}

test("RELY-49: when all ways to the relay die without a word, the pages find new ones for the same media", async () => {
  const call = await twoInACall();
  const start = Date.now();
  nat.changeNetworks();
  gate.changeNetworks();
  await Promise.all([goesOn(call.ada, call.ben, { frames: 1 }), goesOn(call.ben, call.ada, { frames: 1 })]);
  console.log(`pictures were back after ${Date.now() - start} ms`);
  await wentOn(call);
});

test("RELY-49: signalling alone breaks: media is not even interrupted, and what is published afterwards arrives", async () => {
  const call = await twoInACall();
  gate.changeNetworks();
  await wentOn(call);
  await eventually("both pages have the relay again", async () => (await call.ada.view()).relay === "up" && (await call.ben.view()).relay === "up");
  await call.ada.click("camera");
  await call.ada.click("camera");
  await wentOn(call);
});

test("RELY-40: the relay follows clients whose address changes without their knowing", async () => {
  const call = await twoInACall();
  nat.rebind();
  await wentOn(call);
});
