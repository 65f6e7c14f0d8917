// The engine in WebAssembly through calls that were taped natively: the same seed and the same inputs, so it makes the
// same keys and everything fits. Prints one JSON object a line.
//
//   node mls.mjs <folder of the tapes> <folder of the engine>
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [tapes, engine] = process.argv.slice(2);
const { initSync, Client } = await import(pathToFileURL(join(engine, "conclave.js")));
initSync({ module: readFileSync(join(engine, "conclave_bg.wasm")) });

/** What the platform's generator gives, as `entropy_of` of the simulator's world has it. */
const entropy = new Uint8Array(32);
Object.defineProperty(globalThis, "crypto", {
  value: {
    getRandomValues(view) {
      if (view.byteLength > entropy.length) throw new Error(`${view.byteLength} random bytes at once were not taped`);
      view.set(entropy.subarray(0, view.byteLength));
      return view;
    },
  },
});

const median = (of) => of.sort((a, b) => a - b)[Math.floor(of.length / 2)];
const is = (lap, kind) => lap.kind === "text" && lap.text.startsWith(`{"type":"${kind}"`);

for (const file of readdirSync(tapes).sort()) {
  const { room, session, root, profile, seed, laps } = JSON.parse(readFileSync(join(tapes, file), "utf8"));
  let client;
  try {
    entropy.set(Buffer.from(seed, "hex"));
    client = new Client(room, session, root, profile);
  } catch {
    continue; // An experimental profile that this engine was built without.
  }
  const took = { joined: [], commit: [] };
  for (const lap of laps) {
    new DataView(entropy.buffer).setBigUint64(8, BigInt(lap.at));
    const start = performance.now();
    const events = step(client, lap);
    const ms = performance.now() - start;
    for (const kind of Object.keys(took)) if (is(lap, kind)) took[kind].push(ms);
    const refused = JSON.parse(events).find((event) => event.type === "refused");
    if (refused) throw new Error(`${file}: the engine refused ${refused.reason}`);
  }
  const members = Number(/-(\d+)\.json$/.exec(file)[1]);
  if (took.joined.length !== 1 || took.commit.length === 0) throw new Error(`${file}: not the call that was taped`);
  print("join", members, profile, took.joined[0], 1000);
  print("process", members, profile, median(took.commit), 50);
}

function step(client, { at, kind, text }) {
  switch (kind) {
    case "connected":
      return client.connected(at);
    case "lost":
      return client.connection_lost(at);
    case "text":
      return client.text(text, at);
    case "tick":
      return client.tick(at);
    case "chat":
      return client.chat(text, at);
    default:
      return "[]";
  }
}

/** The goals are for the largest meetings of the profile that is the default. */
function print(what, members, profile, ms, goal) {
  const judged = members === 1000 && profile === "standard";
  console.log(
    JSON.stringify({
      case: `${what} in WASM, ${members} members, ${profile}`,
      unit: "ms",
      ours: Math.round(ms * 100) / 100,
      peers: {},
      goal: judged ? `< ${goal} ms` : null,
      holds: judged ? ms < goal : null,
    }),
  );
}
