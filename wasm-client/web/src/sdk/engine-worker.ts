// The page's end of the line to the worker: typed messages, noticing when the worker is dead (CLNT-11, CLNT-15), and another
// one in its place. Whoever holds this need not know which worker is behind it.
import { Listeners } from "./listeners";
import { BEAT_MS, Liveness, type Verdict } from "./liveness";
import type { FromWorker, ToWorker, TransformOptions } from "./messages";

export class EngineWorker {
  #worker: Worker;
  #liveness: Liveness;
  readonly #listeners = new Listeners<FromWorker>();
  #nonce = 0;
  #slow = false;
  #closed = false;
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
    this.#worker = this.#start();
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
    this.#worker = this.#start();
  }

  /** After the connections are closed: a transform without its worker must have nothing to carry. */
  close(): void {
    this.#closed = true;
    window.clearInterval(this.#beating);
    this.#watch.abort();
    this.#worker.terminate();
  }

  #start(): Worker {
    const name = `conclave-${crypto.randomUUID()}`;
    const worker = new Worker(__WORKER_URL__, { type: "module", name });
    const current = (): boolean => this.#worker === worker && this.death === null && !this.#closed;
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
      if (current()) this.#receive(data, name);
    });
    worker.addEventListener("error", (event) => {
      if (current()) this.#die(event.message || "it could not be loaded.");
    });
    worker.addEventListener("messageerror", () => {
      if (current()) this.#die("it said something that could not be read.");
    });
    return worker;
  }

  #receive(message: FromWorker, name: string): void {
    this.#liveness.heard();
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
