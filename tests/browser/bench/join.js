// From pressing "Join" to the first picture of somebody else on the page, for a third who comes to a running call between Chromium
// and Firefox. One JSON object a line: { case, unit, ours, peers, goal, holds }. Run by `cargo xtask bench join`.
import { setTimeout as pause } from "node:timers/promises";
import { eventually, KINDS, launch } from "../lib/browser.js";
import { Conclave } from "../lib/conclave.js";
import { Person } from "../lib/person.js";

const ROUNDS = 15;
const GOAL_MS = 1_500;
const TYPING_MS = 2_500;

/** Runs in the newcomer's page from its start: notes when "Join" was pressed and when each first thing was there. */
function watch() {
  const noted = {};
  Object.assign(globalThis, { noted });
  addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest('[data-testid="go"]')) noted.pressed ??= performance.now();
  }, { capture: true });
  setInterval(() => {
    if (noted.pressed === undefined) return;
    if (document.querySelector('[data-testid="call"][data-phase="call"]')) noted.group ??= performance.now() - noted.pressed;
    const others = [...document.querySelectorAll('[data-testid="tile"]:not([data-me="true"]) video')];
    const shown = others.filter((video) => video.videoWidth > 0 && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA).length;
    if (shown > 0) noted.first ??= performance.now() - noted.pressed;
    if (shown > 1) noted.all ??= performance.now() - noted.pressed;
  }, 5);
}

/** @param {number[]} sorted @param {number} share */
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];

const conclave = await Conclave.start({ tap: false });
const browsers = { chromium: await launch("chromium"), firefox: await launch("firefox") };
try {
  const link = await conclave.makeRoom();
  const stay = [await Person.open(browsers.chromium, "Ada"), await Person.open(browsers.firefox, "Ben")];
  for (const person of stay) await person.join(link);

  for (const kind of KINDS) {
    const times = { group: [], first: [], all: [] };
    for (let round = 0; round < ROUNDS; round += 1) {
      const cleo = await Person.open(browsers[kind], "Cleo");
      await cleo.page.evaluateOnNewDocument(watch);
      await cleo.page.goto(link);
      await eventually("one's own picture", () => cleo.page.$eval("video", (video) => video.videoWidth > 0));
      await cleo.fillName();
      // A person takes this long to type a name; meanwhile the page starts the engine.
      await pause(TYPING_MS);
      await cleo.click("go");
      const noted = await eventually("both pictures", async () => {
        const noted = await cleo.page.evaluate(() => globalThis.noted);
        if (noted.all === undefined) throw new Error(JSON.stringify({ noted, tiles: (await cleo.view()).tiles }));
        return noted;
      }, { within: 30_000 });
      for (const what of Object.keys(times)) times[what].push(noted[what]);
      await cleo.leave();
      await cleo.close();
      await eventually("two again", async () => (await stay[0].view()).tiles.length === 2);
    }
    const words = { group: "in the group", first: "first picture", all: "both pictures" };
    for (const [what, list] of Object.entries(times)) {
      const sorted = list.toSorted((one, other) => one - other);
      for (const [name, share] of [["p50", 0.5], ["p95", 0.95]]) {
        const ours = Math.round(quantile(sorted, share));
        const goal = what === "first" && name === "p95" ? `< ${GOAL_MS}` : null;
        console.log(JSON.stringify({ case: `${kind}, ${words[what]}, ${name} of ${ROUNDS}`, unit: "ms", ours, peers: {}, goal, holds: goal && ours < GOAL_MS }));
      }
    }
  }
} finally {
  await Promise.all(Object.values(browsers).map((browser) => browser.close()));
  await conclave.end();
}
