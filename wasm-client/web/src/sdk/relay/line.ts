// The signalling line of one session: a connection, and another in its place when it breaks, while media goes on. What
// the relay keeps of a participant without a line, it keeps for ten seconds.
import type { FromRelay, ToRelay } from "./messages";
import { RelaySocket } from "./socket";

/** Given up a little before the relay does. */
const GIVE_UP_AFTER_MS = 8_000;
const FIRST_RETRY_MS = 150;
const LAST_RETRY_MS = 1_000;
/** A connection that is to be replaced if it does not answer has this long. */
const ANSWER_WITHIN_MS = 400;

export interface LineEvents {
  message(message: FromRelay): void;
  /** The connection broke. What was said and not answered is lost; `ready` comes again, or `closed`. */
  broken(): void;
  /** Said once: there is no line and will be none. */
  closed(): void;
}

export class Line {
  #credentials: { url: string; token: string };
  /** The token that the connection has shown. */
  #presented = "";
  #socket: RelaySocket;
  /** The relay has taken this session once: there is something to come back to. */
  #established = false;
  #brokenSince: number | null = null;
  #retryMs = FIRST_RETRY_MS;
  #retry: number | undefined;
  #over = false;

  constructor(
    url: string,
    token: string,
    readonly events: LineEvents,
  ) {
    this.#credentials = { url, token };
    this.#socket = this.#open();
  }

  /** For this connection, which ends with its token, and for the next. */
  renew(url: string, token: string): void {
    this.#credentials = { url, token };
    if (this.#established && this.#brokenSince === null) this.#present();
  }

  send(message: ToRelay): void {
    this.#socket.send(message);
  }

  /** Whether the line holds; one that does not answer is replaced at once. */
  async holds(): Promise<boolean> {
    if (this.#brokenSince !== null) return false;
    const socket = this.#socket;
    if (await socket.answers(ANSWER_WITHIN_MS)) return true;
    if (!this.#over && this.#socket === socket && this.#brokenSince === null) this.#break();
    return false;
  }

  close(): void {
    this.#over = true;
    window.clearTimeout(this.#retry);
    this.#socket.close();
  }

  #present(): void {
    const { token } = this.#credentials;
    if (token !== this.#presented) this.#socket.send({ type: "renew", token });
    this.#presented = token;
  }

  #open(): RelaySocket {
    const { url, token } = this.#credentials;
    this.#presented = token;
    const socket: RelaySocket = new RelaySocket(url, token, {
      message: (message) => {
        if (message.type === "ready") {
          this.#established = true;
          this.#brokenSince = null;
          this.#retryMs = FIRST_RETRY_MS;
          // One that came while this connection was being made.
          this.#present();
        }
        this.events.message(message);
      },
      closed: () => this.#break(),
    });
    return socket;
  }

  #break(): void {
    if (this.#over) return;
    const now = performance.now();
    const first = this.#brokenSince === null;
    this.#brokenSince ??= now;
    if (!this.#established || now - this.#brokenSince > GIVE_UP_AFTER_MS) {
      this.#over = true;
      this.events.closed();
      return;
    }
    this.#socket.abandon();
    if (first) this.events.broken();
    window.clearTimeout(this.#retry);
    // The first time at once: mostly it is the network that changed, and the new one is there.
    const wait = first ? 0 : this.#retryMs;
    if (!first) this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    this.#retry = window.setTimeout(() => this.#reopen(), wait);
  }

  #reopen(): void {
    this.#socket = this.#open();
    // A connection into a network that swallows everything is not waited for long.
    window.clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => {
      if (this.#brokenSince !== null) this.#break();
    }, 2 * LAST_RETRY_MS);
  }
}
