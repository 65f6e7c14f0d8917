// The page's end of the line to the worker: typed messages, and noticing when the worker is dead (CLNT-11).
import { Listeners } from "./listeners";
import type { FromWorker, ToWorker, TransformOptions } from "./messages";

const ASK_EVERY_MS = 2_000;
/** A healthy worker answers within milliseconds; a machine that slept does not count against it. */
const DEAD_AFTER_ASKS = 4;

export class EngineWorker {
  readonly #worker: Worker;
  readonly #listeners = new Listeners<FromWorker>();
  #unanswered = 0;
  #nonce = 0;
  #over = false;
  /** What the worker died of. */
  death: string | null = null;
  readonly #asking: number;

  constructor() {
    this.#worker = new Worker(__WORKER_URL__, { type: "module", name: "conclave" });
    this.#worker.addEventListener("message", (event: MessageEvent<FromWorker>) => this.#receive(event.data));
    this.#worker.addEventListener("error", (event) => this.#die(event.message || "It could not be loaded."));
    this.#worker.addEventListener("messageerror", () => this.#die("It said something that could not be read."));
    this.#asking = window.setInterval(() => this.#ask(), ASK_EVERY_MS);
  }

  /** Who comes late still hears of a death. */
  subscribe(listener: (message: FromWorker) => void): () => void {
    const { death } = this;
    if (death !== null) queueMicrotask(() => listener({ type: "died", reason: death }));
    return this.#listeners.add(listener);
  }

  post(message: ToWorker, transfer: Transferable[] = []): void {
    if (!this.#over) this.#worker.postMessage(message, transfer);
  }

  scriptTransform(options: TransformOptions): RTCRtpScriptTransform {
    return new RTCRtpScriptTransform(this.#worker, options);
  }

  /** After the connections are closed: a transform without its worker must have nothing to carry. */
  close(): void {
    this.#over = true;
    window.clearInterval(this.#asking);
    this.#worker.terminate();
  }

  #receive(message: FromWorker): void {
    if (this.#over) return;
    this.#unanswered = 0;
    if (message.type === "died") this.#die(message.reason);
    else this.#listeners.tell(message);
  }

  #ask(): void {
    if (document.hidden) this.#unanswered = 0;
    if (this.#unanswered >= DEAD_AFTER_ASKS) {
      this.#die("It does not answer.");
      return;
    }
    this.#unanswered += 1;
    this.#nonce += 1;
    this.post({ type: "are-you-there", nonce: this.#nonce });
  }

  #die(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.death = reason;
    window.clearInterval(this.#asking);
    this.#listeners.tell({ type: "died", reason });
  }
}
