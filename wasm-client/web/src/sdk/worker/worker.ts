// The worker: the engine, its keys, the delivery connection and every frame transform live here and nowhere else.
import type { FromWorker, ToWorker, TransformOptions } from "../messages";
import { Engine, EngineDied, loadEngine, WebCryptoEngine, type Choice, type EngineEvent, type Opening } from "./engine";
import { Delivery } from "./delivery";
import { OpeningPipe } from "./opening";
import { scope, now, type EncodedFrame, type Transformer } from "./scope";
import { Sealing } from "./sealing";
import { GroupNews } from "./group-news";
import { tapAnswer } from "./tap";

const REPORT_EVERY_MS = 1_000;
/** Longer than the slowest look at the keys' life needs; the engine asks for earlier wakes itself. */
const TICK_EVERY_MS = 1_000;

class ConclaveWorker {
  #engine: Engine | null = null;
  #delivery: Delivery | null = null;
  #dead = false;
  /** The engine is done; its keys go as soon as its last words are said. */
  #over = false;
  #wake: number | undefined;
  readonly #news = new GroupNews();
  readonly #sealing = new Map<string, Sealing>();
  readonly #opening = new Map<string, OpeningPipe>();
  readonly #waiting = new Map<number, (opening: Opening) => void>();
  readonly #loaded: Promise<{ version: string; simd: boolean }>;
  readonly #webCrypto = new WebCryptoEngine();

  constructor() {
    scope.onrtctransform = ({ transformer }) =>
      this.#attach(transformer.options, transformer.readable, transformer.writable, transformer);
    scope.onmessage = ({ data }) => this.#hear(data);
    this.#loaded = loadEngine();
    this.#loaded.then(
      ({ version, simd }) => {
        say({ type: "ready", version, simd });
        // While the person types a name.
        void this.#webCrypto.measureIfDue().catch(() => undefined);
      },
      (fault: unknown) => this.#die(`It could not be loaded: ${String(fault)}`),
    );
    scope.setInterval(() => this.#report(), REPORT_EVERY_MS);
    scope.setInterval(() => this.#tick(), TICK_EVERY_MS);
  }

  #hear(message: ToWorker): void {
    switch (message.type) {
      case "join":
        void Promise.all([this.#loaded, this.#webCrypto.subtle()]).then(([, subtle]) => this.#join(message, subtle));
        return;
      case "chat":
        return this.#drive((engine) => engine.chat(message.text));
      case "leave":
        this.#drive((engine) => engine.leave());
        this.#delivery?.close();
        return;
      case "streams":
        return this.#attach(
          message.options,
          message.readable as ReadableStream<EncodedFrame>,
          message.writable as WritableStream<EncodedFrame>,
          null,
        );
      case "forget-sender":
        this.#opening.get(message.id)?.forgetSender();
        return;
      case "transforms-gone":
        for (const id of message.ids) {
          this.#sealing.delete(id);
          this.#opening.delete(id);
        }
        return;
      case "are-you-there":
        return say({ type: "i-am-here", nonce: message.nonce });
      case "stats":
        return say({
          type: "stats",
          nonce: message.nonce,
          stats: [...this.#sealing.values(), ...this.#opening.values()].map((pipe) => pipe.stats()),
        });
      case "tap":
        if (__TAP__)
          say({ type: "tap", nonce: message.nonce, answer: tapAnswer(message.request, this.#engine, this.#delivery) });
        return;
    }
  }

  #join(request: Extract<ToWorker, { type: "join" }>, subtle: SubtleCrypto | null): void {
    if (this.#dead) return;
    const fips = request.pinned.profile === "fips";
    // ENGN-1: nothing takes WebCrypto's place in such a room, so without it there is no meeting.
    if (fips && !subtle) return say({ type: "failed", code: "no-webcrypto", detail: "" });
    const choice: Choice = fips ? { by: "rule", use: "webcrypto" } : { by: "size", point: this.#webCrypto.point };
    this.#guard(() => {
      this.#engine = new Engine(request, subtle, choice);
    });
    say({ type: "delivery", state: "connecting" });
    this.#delivery = new Delivery(request.deliveryUrl, {
      connected: () => {
        say({ type: "delivery", state: "up" });
        this.#drive((engine) => engine.connected());
      },
      text: (text) => this.#drive((engine) => engine.text(text)),
      lost: () => {
        say({ type: "delivery", state: "lost" });
        this.#drive((engine) => engine.connectionLost());
      },
    });
  }

  #attach(
    options: TransformOptions,
    readable: ReadableStream<EncodedFrame>,
    writable: WritableStream<EncodedFrame>,
    transformer: Transformer | null,
  ): void {
    const context = {
      clock: { now: () => performance.now(), later: (ms: number, call: () => void) => void scope.setTimeout(call, ms) },
      keyFrameNeeded: (sealing: Sealing) => this.#askKeyFrames([sealing]),
      engine: () => (this.#dead ? null : this.#engine),
      died: (fault: EngineDied) => this.#die(fault.message),
      wait: (ticket: number, resume: (opening: Opening) => void) => void this.#waiting.set(ticket, resume),
    };
    let pipe: Sealing | OpeningPipe;
    if (options.role === "seal") {
      pipe = new Sealing(options, context, transformer);
      this.#sealing.set(options.id, pipe);
    } else {
      pipe = new OpeningPipe(options, context);
      this.#opening.set(options.id, pipe);
    }
    const transform = new TransformStream<EncodedFrame, EncodedFrame>({ transform: pipe.transform });
    // It ends with its connection, which is no fault; if it ended otherwise, no frame passes any more.
    readable
      .pipeThrough(transform)
      .pipeTo(writable)
      .catch(() => undefined);
    say({ type: "attached", id: options.id });
  }

  /** Lets the engine take a step and does what it asks for, in its order. */
  #drive(step: (engine: Engine) => EngineEvent[]): void {
    this.#guard(() => {
      const engine = this.#engine;
      if (!engine || this.#dead) return;
      for (const event of step(engine)) this.#do(event);
      if (this.#over) {
        engine.free();
        this.#engine = null;
        return;
      }
      for (const { ticket, opening } of engine.released()) {
        const resume = this.#waiting.get(ticket);
        this.#waiting.delete(ticket);
        if (resume) resume(opening);
        else if (opening.result === "in-flight") engine.forget(opening);
      }
      engine.dropKeys("of-past-epochs");
    });
  }

  #do(event: EngineEvent): void {
    switch (event.type) {
      case "send":
        return this.#delivery?.send(event.text);
      case "wake-at":
        scope.clearTimeout(this.#wake);
        this.#wake = scope.setTimeout(() => this.#tick(), Math.max(0, event.at - now()));
        return;
      case "sending":
        say({ type: "sending", epoch: event.epoch });
        if (event.keyFrame) this.#askKeyFrames([...this.#sealing.values()]);
        return;
      case "reconnect":
        return this.#delivery?.reconnect();
      case "epoch":
        if (event.fresh) {
          this.#waiting.clear();
          this.#engine?.dropKeys("all");
        }
        for (const message of this.#news.tell(event)) say(message);
        return;
      case "ended":
        for (const message of this.#news.tell(event)) say(message);
        this.#delivery?.close();
        this.#over = true;
        return;
      default:
        for (const message of this.#news.tell(event)) say(message);
    }
  }

  #askKeyFrames(of: Sealing[]): void {
    const unasked = of
      .filter((sealing) => !sealing.askKeyFrame())
      .map((sealing) => sealing.options.id);
    if (unasked.length > 0) say({ type: "key-frame-needed", ids: unasked });
  }

  #tick(): void {
    this.#drive((engine) => engine.tick());
    void this.#webCrypto.measureIfDue().catch(() => undefined);
  }

  #report(): void {
    const reports = [...this.#opening.values()].flatMap((pipe) => pipe.report() ?? []);
    if (reports.length > 0) say({ type: "reception", reports });
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (fault) {
      if (fault instanceof EngineDied) this.#die(fault.message);
      else say({ type: "failed", code: "protocol", detail: String(fault) });
    }
  }

  #die(reason: string): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#delivery?.close();
    say({ type: "died", reason });
  }
}

function say(message: FromWorker): void {
  scope.postMessage(message);
}

new ConclaveWorker();
