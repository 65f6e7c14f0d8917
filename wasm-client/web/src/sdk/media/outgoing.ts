// CLNT-5: one sender and the rule of PF-28: what a person says or shows is released only when the worker has sealed a frame of
// this very sender. Until then the track is disabled, which encoders turn into silence and black; and before there are keys
// to seal with, it is not given to the encoder at all, which has better uses for the processor while somebody joins.
import type { TransformOptions } from "../messages";
import type { Stream } from "../state";
import { attach, type Way } from "./attach";
import { hasLayersInside, makeLayersInside, setActive } from "./codec";
import type { EngineWorker } from "../engine-worker";

export type OutgoingState = "idle" | "held" | "sent" | "unsealed";

export class Outgoing {
  /** Time spent with a track, a connection and keys, and yet without a sealed frame. */
  waitedMs = 0;
  #confirmed = false;
  #given: MediaStreamTrack | null = null;
  #carried: MediaStreamTrack | null = null;
  #applied: Promise<void> = Promise.resolve();
  /** A clone, so that disabling it does not darken the picture that the person sees of themselves. */
  #track: MediaStreamTrack | null = null;
  #audible = true;
  /** CLNT-32: the layers that somebody wants; null: the relay said nothing of that. */
  #wanted: readonly number[] | null = null;
  #keysThere = false;
  #stopped = false;
  #closed = false;

  constructor(
    readonly id: string,
    readonly stream: Stream,
    readonly transceiver: RTCRtpTransceiver,
    worker: EngineWorker,
    way: Way,
  ) {
    const options: TransformOptions = { role: "seal", id, stream };
    attach(transceiver.sender, options, worker, way);
  }

  get state(): OutgoingState {
    if (this.#stopped) return "unsealed";
    if (!this.#given) return "idle";
    return this.#confirmed ? "sent" : "held";
  }

  /** The track to carry from now on. The same one again changes nothing. */
  carry(track: MediaStreamTrack | null): Promise<void> {
    if (this.#given !== track) {
      this.#given = track;
      this.#applySoon();
    }
    return this.#applied;
  }

  /** There are keys to seal with. What comes without them later (a rejoin) is dropped by the worker; the encoder goes on. */
  keysAreThere(): void {
    if (this.#keysThere) return;
    this.#keysThere = true;
    this.#applySoon();
  }

  /** Carries what another one carried. */
  takeOver(other: Outgoing): Promise<void> {
    this.setAudible(other.#audible);
    return this.carry(other.#given);
  }

  /** Muting keeps the track: silence is sent, sealed like speech and just as long. */
  setAudible(audible: boolean): void {
    this.#audible = audible;
    this.#release();
  }

  /** The worker sealed a frame of this sender. */
  confirm(): void {
    this.#confirmed = true;
    this.#release();
    this.#encodeSoon();
  }

  /** CLNT-32: only these layers are encoded from now on. Before the worker has confirmed this sender all are: it needs a frame for that. */
  want(layers: readonly number[]): void {
    this.#wanted = layers;
    this.#encodeSoon();
  }

  /** To the relay it is another producer, or none: of that it has said nothing yet. */
  startAnew(): void {
    this.#wanted = null;
    this.#encodeSoon();
  }

  /**
   * An answer was taken in. To Chromium its `a=simulcast` says which layers the relay pauses, which are none: it makes all
   * active again (RFC 8853, section 5.1).
   */
  agreed(): void {
    this.#encodeSoon();
  }

  /** A source that gives no frames (a window that is minimised, a muted track) gives none to seal either. */
  get awaitsConfirmation(): boolean {
    return this.#track !== null && !this.#track.muted && !this.#confirmed && !this.#stopped;
  }

  get confirmed(): boolean {
    return this.#confirmed;
  }

  /** No transform was confirmed: nothing is sent from here any more, nor the black frames that Firefox makes without a track. */
  stopForGood(): void {
    this.#stopped = true;
    this.close();
    this.transceiver.direction = "inactive";
    this.#applied = this.#applied.then(() => this.#encodeNothing());
  }

  close(): void {
    this.#closed = true;
    this.#track?.stop();
    this.#track = null;
    this.#given = null;
    void this.transceiver.sender.replaceTrack(null).catch(() => undefined);
  }

  /** One after the other, each with what is wanted by then: browsers answer such calls late and in parts. */
  #applySoon(): void {
    this.#applied = this.#applied.then(() => this.#apply());
  }

  async #apply(): Promise<void> {
    const given = this.#keysThere ? this.#given : null;
    if (given === this.#carried || this.#stopped || this.#closed) return;
    this.#carried = given;
    const former = this.#track;
    const next = given?.clone() ?? null;
    this.#track = next;
    this.#release();
    await this.transceiver.sender.replaceTrack(next).catch(() => undefined);
    former?.stop();
    await this.#encode();
  }

  #encodeSoon(): void {
    this.#applied = this.#applied.then(() => this.#encode());
  }

  /** Firefox goes on with black frames where there is no track; a camera that is off sends nothing, nor one that nobody looks at. */
  async #encode(): Promise<void> {
    if (this.stream !== "camera" && this.stream !== "screen") return;
    if (this.#stopped || this.#closed) return;
    const wanted = this.#confirmed ? this.#wanted : null;
    const { sender } = this.transceiver;
    const parameters = sender.getParameters();
    const has = this.#track !== null;
    const [only, ...more] = parameters.encodings;
    const changed =
      only && more.length === 0 && hasLayersInside(only)
        ? makeLayersInside(only, has ? wanted : [])
        : parameters.encodings
            .map((encoding, layer) => setActive(encoding, has && (wanted?.includes(layer) ?? true)))
            .includes(true);
    if (!changed) return;
    await sender.setParameters(parameters).catch(() => undefined);
  }

  async #encodeNothing(): Promise<void> {
    const { sender } = this.transceiver;
    const parameters = sender.getParameters();
    parameters.encodings.forEach((encoding) => setActive(encoding, false));
    await sender.setParameters(parameters).catch(() => undefined);
  }

  #release(): void {
    if (this.#track) this.#track.enabled = this.#confirmed && this.#audible;
  }
}
