// What is sent and received, agreed on with the relay: one offer at a time, always the client's. What changes while one is
// under way goes into the next.
import type { Publish, Subscribe, ToRelay } from "../relay/messages";
import { directions, hardenAnswer, hardenOffer, sessionOf } from "./sdp";

/** An offer is answered in milliseconds; a machine that is busy takes longer. */
const ANSWER_WITHIN_MS = 10_000;

/** Whose connection it is. */
export interface Negotiating {
  /** The relay is there and has said what there is. */
  readonly ready: boolean;
  /** What is wanted of the lines of a description: each line's direction, by mid. */
  lists(described: Map<string, string>): { publish: Publish[]; subscribe: Subscribe[] };
  send(message: ToRelay): void;
  agreed(subscribed: Subscribe[]): void;
  /** There is nothing to agree on any more: a new connection must be made. */
  lost(): void;
}

export class Negotiation {
  readonly #peer: RTCPeerConnection;
  readonly #host: Negotiating;
  #pending: { id: number; answered: (sdp: string | null) => void } | null = null;
  #offers = 0;
  #wanted = false;
  #busy = false;
  #over = false;

  constructor(peer: RTCPeerConnection, host: Negotiating) {
    this.#peer = peer;
    this.#host = host;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** Something changed that the relay has to agree to. */
  async begin(): Promise<void> {
    this.#wanted = true;
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#wanted && !this.#over) {
        // The very first description is made before the relay is there, which saves its making later.
        if (!this.#host.ready && this.#peer.localDescription) break;
        // Before the offer is made: whatever changes from here on may be too late for it and wants another.
        this.#wanted = false;
        await this.#peer.setLocalDescription(await this.#peer.createOffer());
        if (!this.#host.ready) break;
        await this.#exchange();
      }
    } catch (fault) {
      if (!this.#over) {
        reportError(fault);
        this.#host.lost();
      }
    } finally {
      this.#busy = false;
    }
  }

  /** The relay's answer to the offer of that number. `false`: it is another one's. */
  answered(id: number, sdp: string): boolean {
    if (id !== this.#pending?.id) return false;
    this.#pending.answered(sdp);
    return true;
  }

  /** The offer under way was refused, or nobody knows what became of it. What was agreed before goes on. */
  unanswered(): void {
    this.#pending?.answered(null);
  }

  close(): void {
    this.#over = true;
    this.unanswered();
  }

  async #exchange(): Promise<void> {
    const id = ++this.#offers;
    const sdp = hardenOffer(this.#peer.localDescription?.sdp ?? "");
    // The lists follow the description and not the transceivers, which may have moved on while it was made.
    const { publish, subscribe } = this.#host.lists(directions(sdp));
    const answer = new Promise<string | null>((answered) => {
      this.#pending = { id, answered };
    });
    this.#host.send({ type: "offer", id, sdp, publish, subscribe });
    // A relay that answers pings and no offer is of no use; a line that breaks answers too.
    const overdue = window.setTimeout(() => this.#host.lost(), ANSWER_WITHIN_MS);
    const text = await answer;
    window.clearTimeout(overdue);
    this.#pending = null;
    if (this.#over) return;
    if (text === null) {
      await this.#peer.setLocalDescription({ type: "rollback" });
      return;
    }
    // Another relay, or one that has let go of this connection: its keys are gone, and a new connection must be made.
    const agreed = this.#peer.currentRemoteDescription?.sdp;
    if (agreed && sessionOf(agreed) !== sessionOf(text)) return this.#host.lost();
    await this.#peer.setRemoteDescription({ type: "answer", sdp: hardenAnswer(text) });
    this.#host.agreed(subscribe);
  }
}
