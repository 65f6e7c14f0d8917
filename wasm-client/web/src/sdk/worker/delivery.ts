// The connection to the delivery service: text in, text out, and coming back after a loss. Media does not wait for it.
import { scope } from "./scope";

const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 5_000;
/** A connection that stood for less was none: the service may let this device in less often (DLVR-15). */
const STOOD_MS = 5_000;
/** The engine pings every two seconds and each ping is answered. */
const SILENCE_MS = 8_000;
const LOOK_EVERY_MS = 1_000;

export interface DeliveryEvents {
  connected(): void;
  text(text: string): void;
  lost(): void;
}

export class Delivery {
  #socket: WebSocket | null = null;
  #retryMs = FIRST_RETRY_MS;
  #heard = 0;
  #openedAt = Infinity;
  #over = false;
  #everUp = false;

  constructor(
    readonly url: string,
    readonly events: DeliveryEvents,
  ) {
    this.#connect();
    scope.setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** Whether a connection was ever made: tells "unreachable" from "lost". */
  get everUp(): boolean {
    return this.#everUp;
  }

  send(text: string): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  /** The engine finds the connection dead. */
  reconnect(): void {
    if (this.#socket) this.#lose(this.#socket);
  }

  close(): void {
    this.#over = true;
    this.#socket?.close(1000);
  }

  #connect(): void {
    if (this.#over) return;
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#heard = performance.now();
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      this.#everUp = true;
      this.#openedAt = performance.now();
      this.events.connected();
    };
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (this.#socket !== socket) return;
      this.#heard = performance.now();
      if (typeof event.data === "string") this.events.text(event.data);
    };
    socket.onclose = () => this.#lose(socket);
  }

  #look(): void {
    if (this.#socket && performance.now() - this.#heard > SILENCE_MS) this.#lose(this.#socket);
  }

  #lose(socket: WebSocket): void {
    if (this.#socket !== socket || this.#over) return;
    this.#socket = null;
    socket.close();
    this.events.lost();
    if (performance.now() - this.#openedAt >= STOOD_MS) this.#retryMs = FIRST_RETRY_MS;
    this.#openedAt = Infinity;
    const wait = this.#retryMs * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    scope.setTimeout(() => this.#connect(), wait);
  }
}
