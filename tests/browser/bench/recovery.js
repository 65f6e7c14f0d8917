// How long a call is without sound and picture when the encryption engine of one of two fails: from the failure (or the end of a
// standstill) to the first new frame decoded, at the one whose engine it was and at the other. Run by `cargo xtask bench recovery`.
import { agreed, Person } from "../lib/person.js";
import { Conclave } from "../lib/conclave.js";
import { eventually, KINDS, launch } from "../lib/browser.js";
import { print, quantile } from "../lib/figures.js";

const ROUNDS = Number(process.env.CONCLAVE_BENCH_ROUNDS ?? 8);
const GOAL_MS = 2_000;
const STALL_MS = 3_000;
const DIRECTIONS = { own: "the others' picture at whose engine failed", others: "their picture at the others" };

/** What is asked of the tap in Ada's page, and how long after that the recovery may begin. @type {Record<string, { order: (string | number)[], from: number }>} */
const FAILURES = {
  "an engine that panics": { order: ["fail", "panic"], from: 0 },
  "a worker that is gone without a word": { order: ["fail", "close"], from: 0 },
  [`after a standstill of ${STALL_MS / 1_000} s`]: { order: ["stall", STALL_MS], from: STALL_MS },
  "a sending transform that throws": { order: ["fault", "seal", "video", "step", 1], from: 0 },
  "a sending transform that always throws": { order: ["fault", "seal", "video", "step", 3], from: 0 },
};

/** Runs in a page: notes every moment at which more frames of pictures had been decoded than the moment before. */
function noteFrames() {
  const noted = [];
  Object.assign(globalThis, { noted });
  const last = new Map();
  const look = async () => {
    const all = (await globalThis.conclaveTap?.rtc()) ?? [];
    const now = performance.timeOrigin + performance.now();
    for (const { type, kind, id, ssrc, framesDecoded = 0 } of all) {
      if (type !== "inbound-rtp" || kind !== "video") continue;
      const before = last.get(`${id}/${ssrc}`);
      // A stream that was not there before counts from nought.
      if (framesDecoded > (before ?? 0)) noted.push(now);
      last.set(`${id}/${ssrc}`, framesDecoded);
    }
    setTimeout(look, 15);
  };
  void look();
}

/** The end of the longest time without a frame that begins after the failure or holds it. @param {number[]} noted @param {number} since */
function recoveredAt(noted, since) {
  const gaps = noted.map((time, at) => ({ from: noted[at - 1] ?? time, to: time })).filter(({ to }) => to >= since);
  return gaps.reduce((longest, gap) => (gap.to - gap.from > longest.to - longest.from ? gap : longest)).to;
}

const conclave = await Conclave.start();
const browsers = { chromium: await launch("chromium"), firefox: await launch("firefox") };
try {
  for (const kind of KINDS.filter((kind) => (process.env.CONCLAVE_BENCH_BROWSER ?? kind) === kind)) {
    const link = await conclave.makeRoom();
    const ben = await Person.open(browsers[kind === "chromium" ? "firefox" : "chromium"], "Ben");
    await ben.page.evaluateOnNewDocument(noteFrames);
    await ben.join(link);
    for (const [failure, { order, from }] of Object.entries(FAILURES)) {
      const times = { own: [], others: [] };
      for (let round = 0; round < ROUNDS; round += 1) {
        const ada = await Person.open(browsers[kind], "Ada");
        await ada.page.evaluateOnNewDocument(noteFrames);
        await ada.join(link);
        await agreed([ada, ben]);
        await Promise.all([ada.sees("Ben"), ben.sees("Ada")]);
        await Promise.all([ada, ben].map(({ page }) => page.evaluate(() => globalThis.noted.splice(0))));
        const ordered = await ada.page.evaluate(async ([what, ...how]) => {
          const now = performance.timeOrigin + performance.now();
          await globalThis.conclaveTap[what](...how);
          return now;
        }, order);
        const since = ordered + from;
        await new Promise((resolve) => setTimeout(resolve, from + 3_000));
        for (const [who, { page }] of Object.entries({ own: ada, others: ben })) {
          const noted = await eventually("frames again", async () => {
            const noted = await page.evaluate(() => globalThis.noted);
            return noted.filter((time) => time > since + 500).length > 5 && noted;
          });
          times[who].push(Math.max(0, recoveredAt(noted, since) - since));
        }
        await ada.leave();
        await ada.close();
        await agreed([ben]);
      }
      for (const [who, words] of Object.entries(DIRECTIONS)) {
        for (const [name, share] of /** @type {const} */ ([["p50", 0.5], ["p95", 0.95]])) {
          print(`${kind}, ${failure}: ${words}, ${name} of ${ROUNDS}`, "ms", Math.round(quantile(times[who], share)), { below: GOAL_MS });
        }
      }
    }
    await ben.close();
  }
} finally {
  await Promise.all(Object.values(browsers).map((browser) => browser.close()));
  await conclave.end();
}
