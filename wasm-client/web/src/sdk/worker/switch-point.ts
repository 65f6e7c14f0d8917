// From which size on frames go through WebCrypto, by what both engines took (ENGN-5). No clock, no chance: timings come in, a
// number of bytes comes out.
//
// Neither engine is the faster one everywhere: WebCrypto has a price a call, and waits for threads of the browser's; WebAssembly
// has a price a byte. Which wins where differs by browser and by how busy the machine is.

export type EngineName = "wasm" | "webcrypto";

/** Of one engine and one size, in microseconds. */
export interface Timing {
  typical: number;
  /** What one call in a hundred takes, or as near as the clock lets us tell. */
  tail: number;
}

export interface Sample {
  bytes: number;
  wasm: Timing;
  webcrypto: Timing;
}

/** Sizes at which the engines are compared, ascending; a running estimate is kept for each. */
export const SIZES = [256, 2_048, 16_384, 65_536] as const;

/** How much of the tail counts: enough that a stall now and then outweighs a small gain each time. */
const TAIL_WEIGHT = 1 / 8;

/** The other engine takes over a size only when it is that much cheaper. */
const MARGIN = 1.2;

/** A tail that grew by so much calls for a new measurement. */
const GROWN = 4;

/** Below this, in microseconds, a tail is no trouble, whatever it was before. */
const HARMLESS = 300;

/**
 * A measurement takes several rounds, the next after so many milliseconds each: whatever held the machine up for a moment is in one of
 * them, and the middle ones count.
 */
const NEXT_ROUND_MS = [500, 1_000, 2_000, 4_000] as const;
const ROUNDS = NEXT_ROUND_MS.length + 1;

const ENOUGH_OBSERVATIONS = 200;
const MEASURE_AT_MOST_EVERY_MS = 10_000;
/** How often it is looked at whether a choice made under load still holds. */
const MEASURE_AGAIN_MS = 60_000;
/** How long WebCrypto is left alone after it did not answer. */
const AFTER_FAILURE_MS = 60_000;

export class SwitchPoint {
  #threshold = Infinity;
  /** The threshold before the measurement that is under way. */
  #present = Infinity;
  #rounds: Sample[][] = [];
  #samples: Sample[] = [];
  #measuredAt: number | null = null;
  #failedAt: number | null = null;
  #first: number | null = null;
  readonly #running = {
    wasm: SIZES.map(() => new Running()),
    webcrypto: SIZES.map(() => new Running()),
  };

  /** Frames of that many bytes and more go through WebCrypto. */
  get threshold(): number {
    return this.#threshold;
  }

  prefersWebCrypto(bytes: number): boolean {
    return bytes >= this.#threshold;
  }

  /** A frame went through one of the engines. */
  observe(engine: EngineName, bytes: number, microseconds: number): void {
    this.#running[engine][placeOf(bytes)]?.observe(microseconds);
  }

  /** WebCrypto did not answer: it gets no frames for a while. */
  failed(now: number): void {
    this.#failedAt = now;
    this.#threshold = Infinity;
  }

  /** Whether it is time for a round of measuring both engines. */
  isDue(now: number): boolean {
    if (this.#failedAt !== null && now - this.#failedAt < AFTER_FAILURE_MS) return false;
    if (this.#measuredAt === null) return true;
    const since = now - this.#measuredAt;
    const next = NEXT_ROUND_MS[this.#rounds.length - 1];
    if (next !== undefined && this.#failedAt === null) return since >= next;
    if (since >= MEASURE_AGAIN_MS) return this.#failedAt !== null || this.#threshold !== this.#first;
    return since >= MEASURE_AT_MOST_EVERY_MS && this.#tailGrew();
  }

  /** Both engines were measured, for a round. It decides with those before it, alone at first. */
  measured(samples: Sample[], now: number): void {
    if (this.#rounds.length === ROUNDS || this.#failedAt !== null) this.#rounds = [];
    if (this.#rounds.length === 0) this.#present = this.#threshold;
    this.#rounds.push(samples);
    this.#samples = middle(this.#rounds);
    this.#measuredAt = now;
    this.#failedAt = null;
    for (const all of Object.values(this.#running)) for (const running of all) running.restart();
    this.#threshold = decide(this.#samples, this.#present);
    if (this.#rounds.length === ROUNDS) this.#first ??= this.#threshold;
  }

  /** What is known of a size: for the tests and for reports of faults. */
  running(engine: EngineName, bytes: number): Timing | null {
    return this.#running[engine][placeOf(bytes)]?.estimate ?? null;
  }

  #tailGrew(): boolean {
    return this.#samples.some((sample, place) => {
      const engine = this.prefersWebCrypto(sample.bytes) ? "webcrypto" : "wasm";
      const running = this.#running[engine][place];
      if (!running || running.count < ENOUGH_OBSERVATIONS) return false;
      const { tail } = running.estimate;
      return tail > HARMLESS && tail > GROWN * sample[engine].tail;
    });
  }
}

/** The smallest size from which WebCrypto is the cheaper one at every larger size too. */
export function decide(samples: Sample[], present: number): number {
  let threshold = Infinity;
  for (let place = samples.length - 1; place >= 0; place -= 1) {
    const sample = samples[place];
    if (!sample || !webCryptoWins(sample, present)) break;
    const smaller = samples[place - 1];
    // Between a size that it loses and one that it wins, in the middle of the two as factors go.
    threshold = smaller ? Math.round(Math.sqrt(smaller.bytes * sample.bytes)) : 0;
  }
  return threshold;
}

/** Of each engine and size what the middle round says; of two rounds the better one. */
function middle(rounds: readonly Sample[][]): Sample[] {
  const of = (values: number[]): number => [...values].sort((a, b) => a - b)[(values.length - 1) >> 1] ?? Infinity;
  const timing = (place: number, engine: EngineName): Timing => {
    const all = rounds.flatMap((samples) => samples[place]?.[engine] ?? []);
    return { typical: of(all.map(({ typical }) => typical)), tail: of(all.map(({ tail }) => tail)) };
  };
  return (rounds[0] ?? []).map(({ bytes }, place) => ({
    bytes,
    wasm: timing(place, "wasm"),
    webcrypto: timing(place, "webcrypto"),
  }));
}

function webCryptoWins({ bytes, wasm, webcrypto }: Sample, present: number): boolean {
  const reigns = bytes >= present;
  return reigns ? cost(webcrypto) < cost(wasm) * MARGIN : cost(webcrypto) * MARGIN < cost(wasm);
}

function cost({ typical, tail }: Timing): number {
  return typical + tail * TAIL_WEIGHT;
}

/** The class of a size: that of the nearest in `SIZES`, as factors go. */
function placeOf(bytes: number): number {
  const place = SIZES.findIndex((size, at) => bytes < Math.sqrt(size * (SIZES[at + 1] ?? Infinity)));
  return place < 0 ? SIZES.length - 1 : place;
}

/** Median and 99th percentile of what is observed, each one number that steps up or down by a share of itself. */
class Running {
  count = 0;
  #median = 0;
  #tail = 0;

  get estimate(): Timing {
    return { typical: this.#median, tail: this.#tail };
  }

  observe(value: number): void {
    this.count += 1;
    if (this.count === 1) {
      this.#median = this.#tail = Math.max(value, SMALLEST);
      return;
    }
    this.#median = step(this.#median, value, 0.5, 0.1);
    // Twice as fast, since a stall is rare and has to be noticed within seconds.
    this.#tail = step(this.#tail, value, 0.99, 0.2);
  }

  restart(): void {
    this.count = 0;
  }
}

/** In microseconds: an estimate that moves by shares of itself must not get to nothing. */
const SMALLEST = 0.5;

/** Stays where `share` of the values are below it, for then the steps up and down cancel out. */
function step(estimate: number, value: number, share: number, size: number): number {
  return Math.max(SMALLEST, value > estimate ? estimate * (1 + size * share) : estimate / (1 + size * (1 - share)));
}
