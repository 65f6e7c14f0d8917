// A network that lets no UDP through.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Calls } from "./lib/call.js";
import { Conclave } from "./lib/conclave.js";
import { goesOn, hears } from "./lib/measure.js";
import { OUTSIDE } from "./lib/network.js";
import { agreed } from "./lib/person.js";

// The relay's UDP port is at another address than its candidates say, and its TCP port is where they say.
const calls = new Calls(() =>
  Conclave.start({ media: (port) => ["--media", `127.0.0.1:${port}`, "--public-ip", OUTSIDE, "--media-tcp", `${OUTSIDE}:${port}`] }),
);

/** The transport of each way that carried anything. */
async function transports(/** @type {import("./lib/person.js").Person} */ person) {
  const all = await person.rtc();
  const used = all.filter((entry) => entry.type === "candidate-pair" && entry.bytesReceived > 10_000);
  return new Set(used.map((pair) => all.find((entry) => entry.id === pair.remoteCandidateId)?.protocol));
}

test("RELY-43: where no UDP passes, both browsers call over one TCP port", async () => {
  const { ada, ben } = await calls.two();
  await Promise.all([ada.sees("Ben"), ben.sees("Ada"), goesOn(ada, ben, { frames: 60 }), goesOn(ben, ada, { frames: 60 }), hears(ada), hears(ben)]);
  assert.deepEqual([await transports(ada), await transports(ben)], [new Set(["tcp"]), new Set(["tcp"])]);
  assert.deepEqual([await ada.refused(), await ben.refused({ newcomer: true })], [{}, {}]);
  await agreed([ada, ben]);
});
