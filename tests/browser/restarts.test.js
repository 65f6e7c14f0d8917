// A part of the installation stops and starts again while a call runs.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "./lib/browser.js";
import { Calls } from "./lib/call.js";
import { SplitConclave } from "./lib/conclave.js";
import { goesOn, hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

const calls = new Calls(() => SplitConclave.start());

async function twoInACall() {
  const two = await calls.two();
  const { ada, ben } = two;
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
  return two;
}

const relayIs = (/** @type {Person} */ person, /** @type {string} */ state) =>
  eventually(`${person.name}'s page says that the relay is ${state}`, async () => (await person.view()).relay === state, { within: 30_000 });
const deliveryIs = (/** @type {Person} */ person, /** @type {string} */ state) =>
  eventually(`${person.name}'s page says that the key server is ${state}`, async () => (await person.view()).delivery === state, { within: 30_000 });

for (const signal of /** @type {const} */ (["SIGTERM", "SIGKILL"])) {
  test(`after the relay was ended by ${signal} and started again, pictures and sound come back by themselves`, async () => {
    const { ada, ben } = await twoInACall();
    await calls.conclave.relay?.stop(signal);
    await Promise.all([relayIs(ada, "lost"), relayIs(ben, "lost")]);
    // The group does not need the relay: nobody was removed.
    await agreed([ada, ben]);

    await calls.conclave.startRelay();
    await Promise.all([relayIs(ada, "up"), relayIs(ben, "up")]);
    await Promise.all([ada.sees("Ben"), ben.sees("Ada"), goesOn(ada, ben), goesOn(ben, ada), hears(ada), hears(ben)]);
    assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
  });
}

for (const signal of /** @type {const} */ (["SIGTERM", "SIGKILL"])) {
  test(`media goes on while the key server is down after ${signal}, and once it is back somebody new can join`, async () => {
    const { link, ada, ben, epoch } = await twoInACall();
    await calls.conclave.keyServer?.stop(signal);
    await Promise.all([deliveryIs(ada, "lost"), deliveryIs(ben, "lost")]);
    await Promise.all([goesOn(ada, ben, { frames: 60 }), goesOn(ben, ada, { frames: 60 }), hears(ada), hears(ben)]);

    await calls.conclave.startKeyServer();
    await Promise.all([deliveryIs(ada, "up"), deliveryIs(ben, "up")]);
    const cleo = await calls.joining(calls.chromium, "Cleo", link);
    const later = await agreed([ada, ben, cleo]);
    assert.ok(later.epoch > epoch);
    await Promise.all([cleo.sees("Ada"), cleo.sees("Ben"), ada.sees("Cleo"), goesOn(ada, ben), goesOn(ben, ada)]);
  });
}
