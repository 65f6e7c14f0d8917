// One receiver. It may serve one producer after another; what it plays is decided by the leaf that the worker
// authenticated on it, and nothing is played before.
import type { EngineWorker } from "../engine-worker";
import type { Authenticated } from "../messages";
import type { ProducerInfo } from "../relay/messages";
import type { Stream } from "../state";
import { attach, type Way } from "./attach";
import { Loudness } from "./loudness";

export class Incoming {
  /** What the relay says comes here: used to subscribe, never to choose a tile. */
  producer: ProducerInfo | null = null;
  /** Whose frames opened here. */
  authenticated: { leaf: number; stream: Stream } | null = null;
  readonly loudness = new Loudness();
  /** What the worker says under an earlier number was said before it knew that all is to be forgotten. */
  #binding = 0;

  constructor(
    readonly id: string,
    readonly kind: "audio" | "video",
    readonly transceiver: RTCRtpTransceiver,
    readonly worker: EngineWorker,
    way: Way,
  ) {
    attach(transceiver.receiver, { role: "open", id, kind }, worker, way);
  }

  get track(): MediaStreamTrack {
    return this.transceiver.receiver.track;
  }

  serve(producer: ProducerInfo): void {
    this.producer = producer;
    this.transceiver.direction = "recvonly";
    this.forget();
  }

  retire(): void {
    this.producer = null;
    this.transceiver.direction = "inactive";
    this.forget();
  }

  /** The worker says whose frames open here. Gives whether that still holds. */
  bind({ leaf, stream, binding, waits }: Authenticated): boolean {
    if (binding !== this.#binding) return false;
    this.authenticated = { leaf, stream };
    if (waits) this.worker.post({ type: "bound", id: this.id, binding });
    return true;
  }

  forget(): void {
    this.authenticated = null;
    this.#binding += 1;
    this.worker.post({ type: "forget-sender", id: this.id, binding: this.#binding });
  }

  /** The worker says with the next frame whose it is, as it did with the first. */
  askAnew(): void {
    this.worker.post({ type: "say-sender", id: this.id });
  }
}
