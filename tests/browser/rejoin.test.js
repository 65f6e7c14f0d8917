// Coming back: by the button after leaving, and by reloading the page. The old leaf goes, a new one comes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Calls } from "./lib/call.js";
import { Conclave } from "./lib/conclave.js";
import { hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";

const calls = new Calls(() => Conclave.start());

/** @param {Person} ada @param {Person} ben @param {number} epoch */
async function together(ada, ben, epoch) {
  const later = await agreed([ada, ben]);
  assert.ok(later.epoch > epoch);
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), hears(ada), hears(ben)]);
}

for (const [who, at] of /** @type {const} */ ([["chromium", 0], ["firefox", 1]])) {
  test(`who left in ${who} joins again by the button, and is seen and heard as before`, async () => {
    const { ada, ben, epoch } = await calls.two();
    const comer = [ada, ben][at];
    await comer.leave();
    await comer.find("left");
    await agreed([ada, ben].filter((person) => person !== comer));
    await comer.click("again");
    await comer.enter();
    await together(ada, ben, epoch);
  });

  test(`who reloads the page in ${who} is back under a new key, once`, async () => {
    const { ada, ben, epoch } = await calls.two();
    const comer = [ada, ben][at];
    await comer.page.reload();
    await comer.enter();
    await together(ada, ben, epoch);
  });
}

test("the last one leaves, and whoever comes to the room later starts a new group", async () => {
  const { ada, ben } = await calls.two();
  await ada.leave();
  await agreed([ben]);
  await ben.leave();
  await ben.find("left");
  await ada.find("left");
  await ada.click("again");
  await ada.enter();
  await agreed([ada]);
  await ben.click("again");
  await ben.enter();
  await together(ada, ben, 0);
});
