// The measuring itself, for Node and for a browser's worker: nanoseconds a call, of a batch of calls at a time, since no browser's
// clock tells the time of one. Engines compile in the background, so each gets a run before it counts.

const SIZES = [120, 1_200, 10_000, 50_000];
const BATCH_MS = 4;
const BATCHES = 200;
const WARM_MS = 300;
const AAD = new Uint8Array(20);

/** @param {any} checks the module of vector-aes-checks @param {BufferSource} wasm */
export async function measure(checks, wasm) {
  await checks.default({ module_or_path: wasm });
  const lines = [];
  for (const size of SIZES) {
    const frame = new checks.Frame(size);
    const web = await webCrypto(size);
    lines.push({ work: "seal", size, ...(await all({ ours: () => frame.seal_ours(), aesGcm: () => frame.seal_theirs(), webCrypto: web.seal })) });
    lines.push({ work: "open", size, ...(await all({ ours: () => frame.open_ours(), aesGcm: () => frame.open_theirs(), webCrypto: web.open })) });
    frame.free();
  }
  const frame = new checks.Frame(120);
  lines.push({ work: "key", size: 16, ...(await all({ ours: () => frame.key_ours(), aesGcm: () => frame.key_theirs() })) });
  return lines;
}

async function webCrypto(size) {
  const key = await crypto.subtle.importKey("raw", new Uint8Array(16), "AES-GCM", false, ["encrypt", "decrypt"]);
  const how = { name: "AES-GCM", iv: new Uint8Array(12), additionalData: AAD };
  const plain = new Uint8Array(size);
  const sealed = new Uint8Array(await crypto.subtle.encrypt(how, key, plain));
  return { seal: () => crypto.subtle.encrypt(how, key, plain), open: () => crypto.subtle.decrypt(how, key, sealed) };
}

/** Everybody in turn, batch by batch, so that what else the machine does meets all alike. */
async function all(calls) {
  const names = Object.keys(calls);
  const repeats = {};
  for (const name of names) repeats[name] = await warm(calls[name]);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (let batch = 0; batch < BATCHES; batch += 1) {
    for (const name of names) times[name].push(await timed(calls[name], repeats[name]));
  }
  return Object.fromEntries(names.map((name) => [name, quantiles(times[name])]));
}

/** Calls until it runs as fast as it will, and gives back how many fill a batch. */
async function warm(call) {
  const end = performance.now() + WARM_MS;
  let repeats = 1;
  while (performance.now() < end) {
    const taken = ((await timed(call, repeats)) * repeats) / 1e6;
    repeats = Math.max(1, taken > 0 ? Math.round((repeats * BATCH_MS) / taken) : repeats * 2);
  }
  return repeats;
}

async function timed(call, repeats) {
  const start = performance.now();
  for (let i = 0; i < repeats; i += 1) {
    const answer = call();
    // Waiting for what is no promise would give the turn away and be measured too.
    if (answer instanceof Promise) await answer;
    else if (answer === false) throw new Error("a frame did not open");
  }
  return ((performance.now() - start) * 1e6) / repeats;
}

function quantiles(list) {
  const sorted = list.toSorted((one, other) => one - other);
  const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]);
  return { p50: at(0.5), p99: at(0.99) };
}
