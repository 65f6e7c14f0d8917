// Notices that the way to the relay is broken sooner than the browser says so: it waits for some seconds of silence,
// and a call is not to wait with it. A false alarm costs a connectivity check, so it may be raised early.

/** How often it is looked whether anything came in. */
const LOOK_EVERY_MS = 300;
/** So many looks in a row with nothing, after so many with something, are silence. Of what is sent the relay reports twice a second (RELY-49). */
const QUIET_LOOKS = 3;
const LIVELY_LOOKS = 5;
/** A page that was held up sees silence where there was none. */
const HELD_UP_MS = 700;
/** An alarm is given time to help before the next. */
const AGAIN_AFTER_MS = 2_000;

interface NetworkInformation extends EventTarget {
  readonly type?: string;
}

export type Alarm = "silence" | "disconnected" | "network";

export class PathWatch {
  readonly #silence = new Silence();
  readonly #timer: number;
  readonly #stop = new AbortController();
  #alarmed = -Infinity;
  #last = performance.now();

  /** `sender`: one whose statistics tell of the connection it shares with all others. */
  constructor(
    readonly peer: RTCPeerConnection,
    readonly sender: RTCRtpSender,
    readonly alarm: (why: Alarm) => void,
  ) {
    const { signal } = this.#stop;
    peer.addEventListener("iceconnectionstatechange", () => this.#stateChanged(), { signal });
    window.addEventListener("online", () => this.#raise("network"), { signal });
    connectionOf(navigator)?.addEventListener("change", () => this.#raise("network"), { signal });
    this.#timer = window.setInterval(() => void this.#look(), LOOK_EVERY_MS);
  }

  /** Something came in lately. */
  get hears(): boolean {
    return this.#silence.quiet === 0;
  }

  close(): void {
    window.clearInterval(this.#timer);
    this.#stop.abort();
  }

  #stateChanged(): void {
    const state = this.peer.iceConnectionState;
    if (state === "disconnected" || state === "failed") this.#raise("disconnected");
  }

  async #look(): Promise<void> {
    const now = performance.now();
    const heldUp = now - this.#last > HELD_UP_MS;
    this.#last = now;
    if (this.peer.connectionState === "new" || this.peer.connectionState === "closed") return;
    const count = await received(this.peer, this.sender);
    if (heldUp) this.#silence.forget();
    if (this.#silence.hear(count)) this.#raise("silence");
  }

  #raise(why: Alarm): void {
    const now = performance.now();
    if (this.peer.connectionState === "new" || now - this.#alarmed < AGAIN_AFTER_MS) return;
    this.#alarmed = now;
    this.alarm(why);
  }
}

/** What came in so far, look by look: silence is what follows liveliness. */
export class Silence {
  #count = 0;
  #lively = 0;
  #quiet = 0;

  /** Whether it has been too quiet for too long. Stays so until something comes. */
  hear(count: number): boolean {
    // A new way begins to count from nought.
    const came = count !== this.#count;
    this.#count = count;
    if (came) {
      this.#lively = this.#quiet > 0 ? 1 : this.#lively + 1;
      this.#quiet = 0;
      return false;
    }
    if (this.#lively < LIVELY_LOOKS) {
      this.#lively = 0;
      return false;
    }
    this.#quiet += 1;
    return this.#quiet >= QUIET_LOOKS;
  }

  /** Looks since something came. */
  get quiet(): number {
    return this.#quiet;
  }

  /** What was heard so far says nothing about what comes. */
  forget(): void {
    this.#lively = 0;
    this.#quiet = 0;
  }
}

async function received(peer: RTCPeerConnection, sender: RTCRtpSender): Promise<number> {
  // One sender's report is short; not every browser has the connection in it.
  const few = sum(await sender.getStats());
  return few ?? sum(await peer.getStats()) ?? 0;
}

function sum(report: RTCStatsReport): number | null {
  let all: number | null = null;
  report.forEach((entry: RTCStats & { bytesReceived?: number; responsesReceived?: number }) => {
    if (entry.type !== "candidate-pair") return;
    // Where nobody sends, answers to checks are all there is.
    all = (all ?? 0) + (entry.bytesReceived ?? 0) + (entry.responsesReceived ?? 0);
  });
  return all;
}

function connectionOf(navigator: Navigator & { connection?: NetworkInformation }): NetworkInformation | undefined {
  return navigator.connection;
}
