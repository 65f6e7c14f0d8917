// One signalling connection to the relay. It knows nothing of media; it says what came and when it is over.
import { parseRelay, RELAY_PROTOCOL, type FromRelay, type ToRelay } from "./messages";

const PING_EVERY_MS = 2_000;
/** Silence of this long means that the relay is gone, even if TCP does not know yet. */
const SILENCE_MS = 7_000;

export interface RelaySocketEvents {
  message(message: FromRelay): void;
  /** Said once, whatever ended it. */
  closed(): void;
}

export class RelaySocket {
  readonly #socket: WebSocket;
  readonly #events: RelaySocketEvents;
  #heard = performance.now();
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

  close(): void {
    this.#over = true;
    window.clearInterval(this.#ping);
    // 1000 says "on purpose": the relay lets go at once instead of waiting for us.
    this.#socket.close(1000);
  }

  #receive(data: unknown): void {
    this.#heard = performance.now();
    const message = typeof data === "string" ? parseRelay(data) : null;
    if (message && !this.#over) this.#events.message(message);
  }

  #beat(): void {
    if (performance.now() - this.#heard > SILENCE_MS) this.#end();
    else this.send({ type: "ping" });
  }

  #end(): void {
    if (this.#over) return;
    this.close();
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
