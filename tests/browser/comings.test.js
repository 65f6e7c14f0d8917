// Coming late, and the ways of going: each ends in an epoch without the one who went.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { launch } from "./lib/browser.js";
import { Calls } from "./lib/call.js";
import { Conclave } from "./lib/conclave.js";
import { goesOn, hears } from "./lib/measure.js";
import { agreed, Person } from "./lib/person.js";
import { freeze, kill } from "./lib/processes.js";

/** The time of the "within seconds", for a busy machine. The server gives up on silence after 6 s. */
const SECONDS = { within: 20_000 };

const calls = new Calls(() => Conclave.start());

test("who joins late gets a picture and sound of everybody, and everybody of them (PF-34)", async () => {
  const { link, ada, ben, epoch } = await calls.two();
  await Promise.all([ada.sees("Ben"), ben.sees("Ada")]);

  const cleo = await calls.joining(calls.chromium, "Cleo", link);
  const later = await agreed([ada, ben, cleo]);
  assert.ok(later.epoch > epoch, "a new epoch for the newcomer");
  await Promise.all([cleo.sees("Ada"), cleo.sees("Ben"), ada.sees("Cleo"), ben.sees("Cleo"), hears(cleo)]);

  // PF-25: those who were there go on, and nothing of theirs was refused over the change of epochs.
  await Promise.all([goesOn(ada, ben), goesOn(ben, ada)]);
  assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true }), await cleo.refused({ newcomer: true })], [{}, {}, {}]);
});

describe("somebody is out of the group and off the page, with a new epoch, after", () => {
  /**
   * @param {string} name
   * @param {(leaver: Person) => Promise<unknown>} go
   * @param {() => Promise<import("puppeteer-core").Browser>} [whence] the leaver's browser, if it is one of their own
   */
  function way(name, go, whence) {
    test(name, async () => {
      const { link, ada, ben } = await calls.two();
      const own = await whence?.();
      try {
        const leaver = own ? await Person.joining(own, "Dora", link) : await calls.joining(calls.chromium, "Dora", link);
        const { epoch } = await agreed([ada, ben, leaver]);
        await ada.sees("Dora");

        await go(leaver);
        const later = await agreed([ada, ben], SECONDS);
        assert.ok(later.epoch > epoch, `epoch ${later.epoch} after ${epoch}`);
        await Promise.all([goesOn(ada, ben), goesOn(ben, ada)]);
      } finally {
        if (own) kill(own);
      }
    });
  }

  way("the leave button", async (leaver) => {
    await leaver.leave();
    await leaver.find("left");
  });

  way("the closed tab", (leaver) => leaver.page.close());

  way("the browser's sudden death", async (leaver) => kill(leaver.page.browser()), () => launch("chromium"));

  way("silence: a connection that is lost without a word", async (leaver) => freeze(leaver.page.browser()), () => launch("chromium"));
});
