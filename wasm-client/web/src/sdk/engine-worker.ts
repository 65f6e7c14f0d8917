// The page's end of the line to the worker: typed messages, noticing when the worker is dead (CLNT-11, CLNT-15), and another
// one in its place. Whoever holds this need not know which worker is behind it.
//
// While a worker does not answer, another one is loaded beside it: should the first be given up, what is left to do is to join.
// The one beside belongs to no meeting and holds no key, and it goes when the first answers.
import { Listeners } from "./listeners";
import { BEAT_MS, Liveness, type Verdict } from "./liveness";
import type { FromWorker, ToWorker, TransformOptions } from "./messages";

/** A worker beside the one in use. */
interface Spare {
  worker: Worker;
  name: string;
  /** To be heard when it is in use. */
  said: FromWorker[];
}

export class EngineWorker {
  #worker: Worker;
  #liveness: Liveness;
  readonly #listeners = new Listeners<FromWorker>();
  #nonce = 0;
  #slow = false;
  #closed = false;
  #spare: Spare | null = null;
  /** Ends the waiting for this worker's end. */
  #watch: AbortController;
  /** What the worker died of; null while it lives. */
  death: string | null = null;
  /** How many took the place of one that died. */
  restarts = 0;
  readonly #beating: number;

  constructor() {
    this.#liveness = new Liveness(performance.now());
    this.#watch = new AbortController();
    this.#worker = this.#start().worker;
    this.#beating = window.setInterval(() => this.#beat(), BEAT_MS);
  }

  /** Who comes late still hears of a death. */
  subscribe(listener: (message: FromWorker) => void): () => void {
    const { death } = this;
    if (death !== null) queueMicrotask(() => listener({ type: "died", reason: death }));
    return this.#listeners.add(listener);
  }

  post(message: ToWorker, transfer: Transferable[] = []): void {
    if (this.death === null && !this.#closed) this.#worker.postMessage(message, transfer);
  }

  scriptTransform(options: TransformOptions): RTCRtpScriptTransform {
    return new RTCRtpScriptTransform(this.#worker, options);
  }

  /** Another worker in the place of the dead one. It knows nothing of what the other one knew. */
  restart(): void {
    if (this.#closed || this.death === null) return;
    this.death = null;
    this.restarts += 1;
    this.#liveness = new Liveness(performance.now());
    this.#watch = new AbortController();
    const spare = this.#spare;
    this.#spare = null;
    if (!spare) {
      this.#worker = this.#start().worker;
      return;
    }
    this.#worker = spare.worker;
    // Not before whoever started it expects an answer.
    queueMicrotask(() => {
      for (const message of spare.said) if (this.#uses(spare.worker)) this.#receive(message, spare.name);
    });
  }

  /** After the connections are closed: a transform without its worker must have nothing to carry. */
  close(): void {
    this.#closed = true;
    window.clearInterval(this.#beating);
    this.#watch.abort();
    this.#dismissSpare();
    this.#worker.terminate();
  }

  #start(): Spare {
    const name = `conclave-${crypto.randomUUID()}`;
    const worker = new Worker(__WORKER_URL__, { type: "module", name });
    const started: Spare = { worker, name, said: [] };
    const failed = (reason: string): void => {
      if (this.#uses(worker)) this.#die(reason);
      else if (this.#spare === started) this.#dismissSpare();
    };
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
      if (this.#uses(worker)) this.#receive(data, name);
      else if (this.#spare === started) started.said.push(data);
    });
    worker.addEventListener("error", (event) => failed(event.message || "it could not be loaded."));
    worker.addEventListener("messageerror", () => failed("it said something that could not be read."));
    return started;
  }

  #uses(worker: Worker): boolean {
    return this.#worker === worker && this.death === null && !this.#closed;
  }

  #dismissSpare(): void {
    this.#spare?.worker.terminate();
    this.#spare = null;
  }

  #receive(message: FromWorker, name: string): void {
    this.#liveness.heard();
    this.#dismissSpare();
    this.#pace("well");
    if (message.type === "died") return this.#die(message.reason);
    if (message.type === "held") return this.#awaitEnd(name);
    this.#listeners.tell(message);
  }

  /** The worker holds a lock of this name as long as it lives; whoever gets it knows at once that the worker is gone. */
  #awaitEnd(name: string): void {
    const { signal } = this.#watch;
    const gone = (): void => {
      if (!signal.aborted) this.#die("the browser ended it.");
    };
    navigator.locks.request(name, { signal }, gone).catch(() => undefined);
  }

  #beat(): void {
    if (this.death !== null) return;
    const { verdict, ask } = this.#liveness.beat(performance.now());
    if (verdict === "stalled") return this.#die("it did not answer.");
    if (verdict === "slow") this.#spare ??= this.#start();
    this.#pace(verdict);
    if (ask) this.post({ type: "are-you-there", nonce: ++this.#nonce });
  }

  #pace(verdict: Verdict): void {
    const slow = verdict === "slow";
    if (slow === this.#slow) return;
    this.#slow = slow;
    this.#listeners.tell({ type: "pace", slow });
  }

  #die(reason: string): void {
    if (this.#closed || this.death !== null) return;
    const worker = this.#worker;
    this.death = reason;
    this.#slow = false;
    this.#watch.abort();
    // The connections first, as in `close`; then the keys, if there is anything left that holds them.
    this.#listeners.tell({ type: "died", reason });
    worker.terminate();
  }
}
