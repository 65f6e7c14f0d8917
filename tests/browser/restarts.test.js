// A part of the installation stops and starts again while a call runs.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { eventually, launch } from "./lib/browser.js";
import { SplitConclave } from "./lib/conclave.js";
import { goesOn, hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

/** @type {SplitConclave} */
let conclave;
/** @type {import("puppeteer-core").Browser[]} */
let browsers = [];
/** @type {Person[]} */
let people = [];

before(async () => {
  conclave = await SplitConclave.start();
  browsers = await Promise.all([launch("chromium"), launch("firefox")]);
});
after(async () => {
  await Promise.all(browsers.map((browser) => browser.close()));
  await conclave?.end();
});
afterEach(async () => {
  await Promise.all(people.map((person) => person.close()));
  people = [];
});

async function twoInACall() {
  const link = await conclave.makeRoom();
  const ada = await Person.joining(browsers[0], "Ada", link);
  people.push(ada);
  const ben = await Person.joining(browsers[1], "Ben", link);
  people.push(ben);
  const { epoch } = await agreed([ada, ben]);
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
  return { link, ada, ben, epoch };
}

const relayIs = (/** @type {Person} */ person, /** @type {string} */ state) =>
  eventually(`${person.name}'s page says that the relay is ${state}`, async () => (await person.view()).relay === state, { within: 30_000 });
const deliveryIs = (/** @type {Person} */ person, /** @type {string} */ state) =>
  eventually(`${person.name}'s page says that the key server is ${state}`, async () => (await person.view()).delivery === state, { within: 30_000 });

for (const signal of /** @type {const} */ (["SIGTERM", "SIGKILL"])) {
  test(`after the relay was ended by ${signal} and started again, pictures and sound come back by themselves`, async () => {
    const { ada, ben } = await twoInACall();
    await conclave.relay?.stop(signal);
    await Promise.all([relayIs(ada, "lost"), relayIs(ben, "lost")]);
    // The group does not need the relay: nobody was removed.
    await agreed([ada, ben]);

    await conclave.startRelay();
    await Promise.all([relayIs(ada, "up"), relayIs(ben, "up")]);
    await Promise.all([ada.sees("Ben"), ben.sees("Ada"), goesOn(ada, ben), goesOn(ben, ada), hears(ada), hears(ben)]);
    assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
  });
}

for (const signal of /** @type {const} */ (["SIGTERM", "SIGKILL"])) {
  test(`media goes on while the key server is down after ${signal}, and once it is back somebody new can join`, async () => {
    const { link, ada, ben, epoch } = await twoInACall();
    await conclave.keyServer?.stop(signal);
    await Promise.all([deliveryIs(ada, "lost"), deliveryIs(ben, "lost")]);
    await Promise.all([goesOn(ada, ben, { frames: 60 }), goesOn(ben, ada, { frames: 60 }), hears(ada), hears(ben)]);

    await conclave.startKeyServer();
    await Promise.all([deliveryIs(ada, "up"), deliveryIs(ben, "up")]);
    const cleo = await Person.joining(browsers[0], "Cleo", link);
    people.push(cleo);
    const later = await agreed([ada, ben, cleo]);
    assert.ok(later.epoch > epoch);
    await Promise.all([cleo.sees("Ada"), cleo.sees("Ben"), ada.sees("Cleo"), goesOn(ada, ben), goesOn(ben, ada)]);
  });
}
