// A meeting of FIPS-approved algorithms, chosen at the start page; and links that pin other algorithms than the room's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Calls } from "./lib/call.js";
import { Conclave } from "./lib/conclave.js";
import { hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

const calls = new Calls(() => Conclave.start());

test("who chooses FIPS-approved algorithms gets a link that pins them, and a meeting between both browsers", async (t) => {
  const ada = await Person.open(calls.chromium, "Ada");
  t.after(() => ada.close());
  await ada.page.goto(calls.conclave.url);
  await (await ada.find("profile")).select("fips");
  await ada.enter();
  const link = await ada.attribute("copy-link", "data-link");
  assert.match(String(link), /\.fips$/);

  const ben = await calls.joining(calls.firefox, "Ben", String(link));
  await agreed([ada, ben]);
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
  for (const person of [ada, ben]) {
    const words = await (await person.find("security")).evaluate((panel) => panel.textContent);
    assert.match(String(words), /P-256 and ECDSA/);
  }
  assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
});

test("who opens a link that pins the experimental algorithms is in such a meeting, with the longer frame key", async (t) => {
  const link = await calls.conclave.makeRoom({ profile: "pq" });
  assert.match(link, /\.pq$/);
  const ada = await calls.joining(calls.firefox, "Ada", link);
  const ben = await calls.joining(calls.chromium, "Ben", link);
  await agreed([ada, ben]);
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
  for (const person of [ada, ben]) {
    const words = await (await person.find("security")).evaluate((panel) => panel.textContent);
    assert.match(String(words), /ML-KEM-768.*experimental/);
    assert.match(String(words), /AES-256-GCM/);
  }
  assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
});

test("an app that was built without the experimental algorithms says so and takes no others (CLNT-8)", async (t) => {
  const plain = await Conclave.start({ tap: false });
  t.after(() => plain.end());
  const ada = await Person.open(calls.chromium, "Ada");
  t.after(() => ada.close());
  await ada.page.goto(`${await plain.makeRoom()}.pq`);
  await ada.fillName();
  await ada.click("go");
  const failed = await ada.find("failed-no-profile");
  assert.match(String(await failed.evaluate(({ textContent }) => textContent)), /experimental profile pq/);
});

test("a link that pins other algorithms than the room's lets nobody in (CLNT-8)", async (t) => {
  const link = await calls.conclave.makeRoom({ profile: "fips" });
  for (const wrong of [link.replace(/\.fips$/, ""), `${await calls.conclave.makeRoom()}.fips`]) {
    const ada = await Person.open(calls.chromium, "Ada");
    t.after(() => ada.close());
    await ada.page.goto(wrong);
    await ada.fillName();
    await ada.click("go");
    await ada.find("failed-refused");
  }
});
