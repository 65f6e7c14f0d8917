// Runs in a browser's worker: all contenders take turns, in small blocks, on the same frames.
import { Contenders } from "./contenders.js";

/** Frames that are sealed and then opened before the next contender's turn. */
const BLOCK = 16;

const now = () => performance.now();

function makeFrames(sound, plain) {
  return Array.from({ length: BLOCK }, (_, at) => ({
    data: plain.slice().buffer,
    timestamp: 3_000 * at,
    getMetadata: () => ({ mimeType: sound ? "audio/opus" : "video/VP8", synchronizationSource: 5, rtpTimestamp: 3_000 * at }),
    ...(!sound && { type: "delta" }),
  }));
}

/** Milliseconds of each frame, and of the block's frames on average. */
async function time(step, frames) {
  const each = [];
  const start = now();
  let before = start;
  for (const frame of frames) {
    const later = step(frame);
    if (later) await later;
    const after = now();
    each.push(after - before);
    before = after;
  }
  return { each, mean: (before - start) / frames.length };
}

const quantile = (values, share) => {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] * 1_000;
};

/** Microseconds of everybody. @param {{ bytes: number, sound: boolean, budget: number }} task `budget`: milliseconds in all */
async function measure(contenders, { bytes, sound, budget }) {
  const all = await contenders.of(sound);
  const plain = crypto.getRandomValues(new Uint8Array(bytes));
  const noted = Object.fromEntries(Object.keys(all).map((name) => [name, { seal: [], open: [], both: [], sealMeans: [], openMeans: [] }]));
  const names = Object.keys(all);
  const spent = Object.fromEntries(names.map((name) => [name, 0]));
  const end = now() + budget;
  for (let round = 0; now() < end; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(turn + round) % names.length];
      // Who is slow has fewer turns, but not so few that its tail is a guess.
      if (round > 20 && spent[name] > (budget / names.length) * 1.5) continue;
      const frames = makeFrames(sound, plain);
      const start = now();
      const sealed = await time(all[name].seal, frames);
      const opened = await time(all[name].open, frames);
      spent[name] += now() - start;
      if (frames.some(({ data }) => data.byteLength !== bytes)) throw new Error(`${name} does not open what it sealed`);
      if (round < 3) continue;
      const note = noted[name];
      note.seal.push(...sealed.each);
      note.open.push(...opened.each);
      note.both.push(...sealed.each.map((ms, at) => ms + opened.each[at]));
      note.sealMeans.push(sealed.mean);
      note.openMeans.push(opened.mean);
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  for (const contender of Object.values(all)) contender.end();
  return Object.fromEntries(
    names.map((name) => {
      const { seal, open, both, sealMeans, openMeans } = noted[name];
      const figures = {
        seal: { p50: quantile(sealMeans, 0.5), p99: quantile(seal, 0.99) },
        open: { p50: quantile(openMeans, 0.5), p99: quantile(open, 0.99) },
        "seal + open": { p99: quantile(both, 0.99) },
        frames: seal.length,
      };
      return [name, figures];
    }),
  );
}

const loading = Contenders.load();

self.onmessage = async ({ data }) => {
  try {
    const contenders = await loading;
    const answer = data.what === "calibrate" ? await contenders.calibrate() : await measure(contenders, data);
    self.postMessage({ answer, nonce: data.nonce });
  } catch (fault) {
    self.postMessage({ fault: `${fault}\n${fault?.stack}`, nonce: data.nonce });
  }
};
