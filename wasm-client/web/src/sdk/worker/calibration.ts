// Times both engines for a moment, where nobody waits for it. Browsers' clocks in workers tick in steps of 5 microseconds to a
// whole millisecond, so calls are counted from one step to a later one and not timed one by one.
import { SIZES, type Sample, type Timing } from "./switch-point";

export interface Engines {
  /** Seals a frame of so many bytes in WebAssembly. */
  wasm(bytes: number): void;
  /** The same through WebCrypto. */
  webcrypto(bytes: number): Promise<unknown>;
}

export interface Pace {
  /** Milliseconds. */
  now(): number;
  /** Lets everything else that waits in the worker go first. */
  pause(): Promise<void>;
}

/** In milliseconds, for one engine and size. */
const SLICE_MS = 2;
/** For a clock that stands still. */
const MOST_CALLS = 4_096;
const WARM_UP = 3;

export async function calibrate(engines: Engines, pace: Pace): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const bytes of SIZES) {
    const wasm = await time(() => Promise.resolve(engines.wasm(bytes)), pace);
    const webcrypto = await time(() => engines.webcrypto(bytes), pace);
    samples.push({ bytes, wasm, webcrypto });
  }
  return samples;
}

async function time(call: () => Promise<unknown>, pace: Pace): Promise<Timing> {
  await pace.pause();
  for (let round = 0; round < WARM_UP; round += 1) await call();
  const early = pace.now();
  for (let round = 0; round < MOST_CALLS && pace.now() === early; round += 1) await call();

  const start = pace.now();
  let [before, calls, longest, tick] = [start, 0, 0, Infinity];
  while (calls < MOST_CALLS && before - start < SLICE_MS) {
    await call();
    calls += 1;
    const after = pace.now();
    const took = after - before;
    if (took > 0) tick = Math.min(tick, took);
    longest = Math.max(longest, took);
    before = after;
  }
  const typical = ((before - start) / calls) * 1_000;
  // Within a step of the clock nothing can be told apart.
  const tail = Math.max(typical, tick === Infinity ? 0 : (longest - tick) * 1_000);
  return { typical, tail };
}
