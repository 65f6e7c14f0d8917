// A network that lets nothing through but TLS to a TURN server: Debian's coturn, with credentials from the key server.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { launch } from "./lib/browser.js";
import { Conclave } from "./lib/conclave.js";
import { goesOn, hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";
import { relayedOnly, TurnServer } from "./lib/turn.js";

/** @type {TurnServer} */
let turn;
/** @type {Conclave} */
let conclave;
/** @type {import("puppeteer-core").Browser[]} */
let browsers = [];
/** @type {Person[]} */
let people = [];

before(async () => {
  turn = await TurnServer.start();
  conclave = await Conclave.start({ more: turn.args("turns") });
  // The certificate is nobody's: this is about media, not about whose TURN server it is.
  browsers = await Promise.all([
    launch("chromium", { args: ["--ignore-certificate-errors"] }),
    launch("firefox", { acceptInsecureCerts: true }),
  ]);
});
after(async () => {
  if (process.env.CONCLAVE_TEST_TURN_LOG) console.log(turn?.log);
  await Promise.all(browsers.map((browser) => browser.close()));
  await conclave?.end();
  await turn?.end();
});
afterEach(async () => {
  await Promise.all(people.map((person) => person.close()));
  people = [];
});

async function relayed(browser, name, link) {
  const person = await Person.open(browser, name);
  people.push(person);
  await person.page.evaluateOnNewDocument(relayedOnly);
  await person.join(link);
  return person;
}

test("RELY-50: both browsers call through TURN over TLS, with credentials that came with the key server's welcome", async () => {
  const link = await conclave.makeRoom();
  const ada = await relayed(browsers[0], "Ada", link);
  const ben = await relayed(browsers[1], "Ben", link);
  await agreed([ada, ben]);
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), goesOn(ada, ben), goesOn(ben, ada), hears(ada), hears(ben)]);
  for (const person of [ada, ben]) {
    const all = await person.rtc();
    const used = all.filter((entry) => entry.type === "candidate-pair" && entry.bytesReceived > 10_000);
    const kinds = used.map((pair) => all.find((entry) => entry.id === pair.localCandidateId)?.candidateType);
    assert.deepEqual(new Set(kinds), new Set(["relay"]), person.name);
  }
  assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
});
