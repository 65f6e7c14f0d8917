// One signalling connection to the relay. It knows nothing of media; it says what came and when it is over.
import { parseRelay, RELAY_PROTOCOL, type FromRelay, type ToRelay } from "./messages";

const PING_EVERY_MS = 2_000;
/**
 * So many pings in a row without any word mean that the relay is gone, even if TCP does not know yet. Time alone says nothing: where a browser
 * lets a tab in the background beat once a minute, the relay that answers each beat has been silent for a minute.
 */
const UNANSWERED = 3;
/** Not 1000, "on purpose": the relay keeps what belongs to the participant, for whoever takes it up. */
const ABANDONED = 4000;

export interface RelaySocketEvents {
  message(message: FromRelay): void;
  /** Said once, whatever ended it. */
  closed(): void;
}

export class RelaySocket {
  readonly #socket: WebSocket;
  readonly #events: RelaySocketEvents;
  #heard = performance.now();
  /** Pings since anything was heard. */
  #unanswered = 0;
  #ping: number;
  #over = false;

  constructor(url: string, token: string, events: RelaySocketEvents) {
    this.#events = events;
    this.#socket = new WebSocket(url);
    this.#socket.addEventListener("open", () => this.send({ type: "hello", protocol: RELAY_PROTOCOL, token }));
    this.#socket.addEventListener("message", (event: MessageEvent<unknown>) => this.#receive(event.data));
    this.#socket.addEventListener("close", () => this.#end());
    this.#ping = window.setInterval(() => this.#beat(), PING_EVERY_MS);
  }

  send(message: ToRelay): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Whether the relay answers within so long. */
  async answers(withinMs: number): Promise<boolean> {
    const asked = performance.now();
    this.send({ type: "ping" });
    await new Promise((resolve) => window.setTimeout(resolve, withinMs));
    return this.#heard > asked;
  }

  close(): void {
    this.#finish(1000);
  }

  /** Lets this connection go and keeps the participant's media: another connection takes over. */
  abandon(): void {
    this.#finish(ABANDONED);
  }

  #finish(code: number): void {
    this.#over = true;
    window.clearInterval(this.#ping);
    this.#socket.close(code);
  }

  #receive(data: unknown): void {
    this.#heard = performance.now();
    this.#unanswered = 0;
    const message = typeof data === "string" ? parseRelay(data) : null;
    if (message && !this.#over) this.#events.message(message);
  }

  #beat(): void {
    if (this.#unanswered >= UNANSWERED) return this.#end();
    this.#unanswered += 1;
    this.send({ type: "ping" });
  }

  #end(): void {
    if (this.#over) return;
    this.abandon();
    this.#events.closed();
  }
}

/** `relay_url` is a path on this origin or a whole URL (http, https, ws or wss). */
export function relayUrl(told: string, origin: string): string {
  const url = new URL(told, origin);
  if (url.protocol === "http:") url.protocol = "ws:";
  if (url.protocol === "https:") url.protocol = "wss:";
  return url.href;
}
