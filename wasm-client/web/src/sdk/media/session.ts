// One RTCPeerConnection with the relay and the signalling line it was negotiated over. A way to the relay that breaks is
// replaced while it stands: a new signalling connection, an ICE restart, the same media and keys. What cannot be mended
// within seconds is over, and a new session takes its place.
import type { EngineWorker } from "../engine-worker";
import type { Viewable } from "../attention";
import type { IceServer } from "../messages";
import type { FromRelay, ProducerInfo, Publish, RelayErrorCode, Subscribe, Wish } from "../relay/messages";
import { Line } from "../relay/line";
import { Restarts } from "../restarts";
import { STREAMS, type Stream } from "../state";
import { configuration, type Way } from "./attach";
import { cameraEncodings, chooseExtensions, preferOpus, preferVideo, SCREEN_ENCODINGS, type VideoCodec, withoutLayersInside } from "./codec";
import { Incoming } from "./incoming";
import { type Loud, loudnessIn } from "./loudness";
import { Mending } from "./mending";
import { Negotiation } from "./negotiation";
import { Outgoing, type OutgoingState } from "./outgoing";
import { PathWatch } from "./path-watch";
import { Wishes } from "./wishes";

export interface RelayCredentials {
  url: string;
  token: string;
  /** TURN servers, for those whom the relay is not reachable for otherwise. */
  iceServers: IceServer[];
}

export interface SessionEvents {
  /** Media can flow. */
  up(): void;
  /** It cannot at the moment, and is being mended. */
  down(): void;
  /** The relay asks everybody to find another one. Until then it serves. */
  moving(): void;
  /** Said once. `expired`: a fresh token is needed first. */
  over(why: RelayErrorCode | "lost"): void;
  /** What is sent, or what is received, changed. */
  changed(): void;
  /** The relay does not take what was offered; what was agreed before goes on. */
  refused(words: string): void;
  /** Connected, keys there, and yet no sealed frame was seen of this stream. */
  unconfirmed(stream: Stream): void;
}

const TRACK_MS = 500;
/** Firefox sends one black frame a second while a track is disabled, and a busy machine starts encoders late. */
const CONFIRM_WITHIN_MS = 8_000;

let sessions = 0;

export class RelaySession {
  readonly #peer: RTCPeerConnection;
  readonly #name = `s${++sessions}`;
  readonly #outgoing = new Map<Stream, Outgoing>();
  readonly #incoming: Incoming[] = [];
  /** Own producers, by mid, as the relay named them. */
  #producers: ReadonlyMap<string, string> = new Map();
  #line: Line | null = null;
  #noRoom: ReadonlySet<string> = new Set();
  #ready = false;
  readonly #wishes = new Wishes();
  #over = false;
  #keysThere = false;
  readonly #negotiation: Negotiation;
  readonly #mending: Mending;
  readonly #watch: number;
  readonly #path: PathWatch;
  /** The line came up again: what it tells next is all that there is. */
  #whole = false;
  readonly #renewals = new Restarts();
  /** Streams that were given another sender because the first was not confirmed. */
  readonly #tried = new Set<Stream>();
  #ends = 0;

  constructor(
    readonly worker: EngineWorker,
    readonly way: Way,
    readonly codec: VideoCodec,
    readonly events: SessionEvents,
  ) {
    this.#peer = new RTCPeerConnection(configuration(way, []));
    this.#peer.addEventListener("connectionstatechange", () => this.#connectionChanged());
    const microphone = this.#add("microphone");
    this.#add("camera");
    this.#path = new PathWatch(this.#peer, microphone.transceiver.sender, () => void this.#mend());
    this.#watch = window.setInterval(() => this.#watchSenders(), TRACK_MS);
    this.#mending = this.#mends();
    this.#negotiation = this.#negotiates();
    this.#negotiate();
  }

  /** The offer is being made meanwhile; it goes out when the relay is ready. */
  connect(credentials: RelayCredentials): void {
    if (this.#over) return;
    this.#useServers(credentials);
    // What was gathered for the offer was gathered without them.
    if (credentials.iceServers.length > 0) this.#peer.restartIce();
    this.#line?.close();
    this.#line = new Line(credentials.url, credentials.token, {
      message: (message) => this.#receive(message),
      broken: () => {
        this.#ready = false;
        this.#wishes.lineBroke();
        this.#mending.begin();
        // Whether the relay took what was offered last is not known. It is offered again.
        this.#negotiation.unanswered();
      },
      closed: () => this.#end("lost"),
    });
  }

  /** The line ends with its token. */
  renew(credentials: RelayCredentials): void {
    this.#useServers(credentials);
    this.#line?.renew(credentials.url, credentials.token);
  }

  /** For the next time that ICE gathers. */
  #useServers({ iceServers }: RelayCredentials): void {
    if (iceServers.length > 0) this.#peer.setConfiguration(configuration(this.way, iceServers));
  }

  /** The group's keys are there (or not): only then does silence of the worker mean something. */
  expectSealing(keysThere: boolean): void {
    this.#keysThere = keysThere;
    if (keysThere) for (const outgoing of this.#outgoing.values()) outgoing.keysAreThere();
  }

  async carry(stream: Stream, track: MediaStreamTrack | null): Promise<void> {
    if (this.#over || (!track && !this.#outgoing.has(stream))) return;
    const known = this.#outgoing.get(stream);
    const sender = known ?? this.#add(stream);
    await sender.carry(track);
    // Microphone and camera keep their m-lines while they are off; what is shared comes and goes.
    const direction = sender.state === "idle" || sender.state === "unsealed" ? "inactive" : "sendonly";
    const shared = stream === "screen" || stream === "screen-audio";
    if (shared && (!known || sender.transceiver.direction !== direction)) {
      sender.transceiver.direction = direction;
      this.#negotiate();
    }
    this.events.changed();
  }

  setAudible(audible: boolean): void {
    this.#outgoing.get("microphone")?.setAudible(audible);
  }

  stopForGood(stream: Stream): void {
    this.#outgoing.get(stream)?.stopForGood();
    this.events.changed();
    void this.#negotiate();
  }

  /** Whether the worker has sealed a frame of anything here: then the way by which transforms are set does work. */
  get confirmsAny(): boolean {
    return [...this.#outgoing.values()].some(({ confirmed }) => confirmed);
  }

  /** Another sender for a stream that the worker saw no frame of; false: it is one already. */
  tryAnotherSender(stream: Stream): boolean {
    const outgoing = this.#outgoing.get(stream);
    if (!outgoing || this.#tried.has(stream)) return false;
    this.#tried.add(stream);
    this.replaceEnd(outgoing.id);
    return true;
  }

  sending(stream: Stream): OutgoingState {
    return this.#outgoing.get(stream)?.state ?? "idle";
  }

  /** CLNT-6: the track on which this member's stream was authenticated; the relay has no say in it. */
  track(leaf: number, stream: Stream): MediaStreamTrack | null {
    const found = this.#incoming.filter(
      ({ authenticated }) => authenticated?.leaf === leaf && authenticated.stream === stream,
    );
    return found.at(-1)?.track ?? null;
  }

  /** The relay says that this device's line has no room for what this person sends: for words only. */
  hasNoRoom(person: string, stream: Stream): boolean {
    return this.#incoming.some(
      ({ producer }) =>
        producer?.participant === person && producer.source === stream && this.#noRoom.has(producer.producer),
    );
  }

  receiver(id: string): Incoming | null {
    return this.#incoming.find((incoming) => incoming.id === id) ?? null;
  }

  /** CLNT-20: these leaves are nobody's or somebody else's now. */
  forgetLeaves(leaves: ReadonlySet<number>): void {
    for (const end of this.#incoming) if (end.authenticated && leaves.has(end.authenticated.leaf)) end.forget();
  }

  confirm(id: string): void {
    for (const outgoing of this.#outgoing.values()) {
      if (outgoing.id !== id) continue;
      outgoing.confirm();
      this.events.changed();
    }
  }

  /**
   * CLNT-17: frames of this end cannot be carried any more. Another end takes its place, with a transform from its beginning
   * (CLNT-4); a transform that was set on a running one would leave open with which frame it begins. If that happens again
   * and again, the whole connection is replaced.
   */
  replaceEnd(id: string): void {
    if (this.#over) return;
    const outgoing = [...this.#outgoing.values()].find((end) => end.id === id);
    const incoming = this.receiver(id);
    if (!outgoing && !incoming) return;
    if (this.#renewals.next(performance.now()) === null) return this.#end("lost");
    this.worker.post({ type: "transforms-gone", ids: [id] });
    if (outgoing) {
      outgoing.transceiver.direction = "inactive";
      void this.#add(outgoing.stream).takeOver(outgoing);
      outgoing.close();
    }
    if (incoming) {
      const { producer } = incoming;
      incoming.retire();
      this.#incoming.splice(this.#incoming.indexOf(incoming), 1);
      if (producer) {
        this.#wishes.startAnew(producer.producer);
        this.#subscribe(producer);
      }
    }
    this.events.changed();
    this.#negotiate();
  }

  keyFrameSent(id: string, ssrc: number, rtpTimestamp: number): void {
    const producer = this.#producerOf(id);
    if (producer) this.#line?.send({ type: "key-frame-sent", producer, ssrc, rtp_timestamp: rtpTimestamp });
  }

  requestKeyFrames(ids: readonly string[]): void {
    for (const id of ids) {
      const producer = this.#producerOf(id);
      if (producer) this.#line?.send({ type: "request-key-frame", producer });
    }
  }

  /** The pictures that can be had. `leafOf` says whose one is that nothing was opened of: the relay's word, good enough for a wish. */
  viewables(leafOf: (participant: string) => number | undefined): Viewable[] {
    return this.#incoming.flatMap(({ producer, authenticated }) =>
      producer?.kind === "video"
        ? [
            {
              producer: producer.producer,
              leaf: authenticated?.leaf ?? leafOf(producer.participant) ?? null,
              stream: producer.source,
            },
          ]
        : [],
    );
  }

  /** Tells the relay what changed of what is wished for. */
  wish(wishes: readonly Wish[]): void {
    const { changed, back } = this.#wishes.take(wishes);
    // What comes back is to be shown with its first frame: the worker says anew whose it is.
    for (const end of this.#incoming) if (end.producer && back.includes(end.producer.producer)) end.askAnew();
    this.#sayWishes(changed);
  }

  async loudness(): Promise<Loud[]> {
    return loudnessIn(await this.#peer.getStats(), this.#incoming);
  }

  statistics(): Promise<RTCStatsReport> {
    return this.#peer.getStats();
  }

  close(): void {
    this.#over = true;
    window.clearInterval(this.#watch);
    this.#mending.close();
    this.#path.close();
    this.#negotiation.close();
    this.#line?.close();
    for (const outgoing of this.#outgoing.values()) outgoing.close();
    this.#peer.close();
    const ids = [...[...this.#outgoing.values()].map((end) => end.id), ...this.#incoming.map((end) => end.id)];
    this.worker.post({ type: "transforms-gone", ids });
  }

  #add(stream: Stream): Outgoing {
    const audio = stream === "microphone" || stream === "screen-audio";
    const encodings = stream === "camera" ? cameraEncodings(this.codec) : stream === "screen" ? SCREEN_ENCODINGS : [];
    const transceiver = this.#transceiver(audio ? "audio" : "video", encodings);
    if (audio) preferOpus(transceiver);
    else preferVideo(transceiver, this.codec);
    chooseExtensions(transceiver);
    const outgoing = new Outgoing(`${this.#name}-${stream}-${++this.#ends}`, stream, transceiver, this.worker, this.way);
    this.#outgoing.set(stream, outgoing);
    if (this.#keysThere) outgoing.keysAreThere();
    return outgoing;
  }

  #transceiver(kind: "audio" | "video", encodings: RTCRtpEncodingParameters[]): RTCRtpTransceiver {
    const add = (sendEncodings: RTCRtpEncodingParameters[]): RTCRtpTransceiver =>
      this.#peer.addTransceiver(kind, { direction: "sendonly", ...(sendEncodings.length > 0 ? { sendEncodings } : {}) });
    try {
      return add(encodings);
    } catch {
      return add(withoutLayersInside(encodings));
    }
  }

  #subscribe(producer: ProducerInfo): void {
    if (
      !STREAMS.includes(producer.source) ||
      this.#incoming.some((end) => end.producer?.producer === producer.producer)
    )
      return;
    const kind = producer.kind === "audio" ? "audio" : "video";
    let incoming = this.#incoming.find((end) => end.kind === kind && end.producer === null);
    if (!incoming) {
      const transceiver = this.#peer.addTransceiver(kind, { direction: "recvonly" });
      chooseExtensions(transceiver);
      incoming = new Incoming(
        `${this.#name}-${kind}-${++this.#ends}`,
        kind,
        transceiver,
        this.worker,
        this.way,
      );
      this.#incoming.push(incoming);
    }
    incoming.serve(producer);
  }

  #receive(message: FromRelay): void {
    switch (message.type) {
      case "ready":
        // All that there are follows at once, and then there is something to agree on.
        this.#whole = true;
        return;
      case "answer":
        if (!this.#negotiation.answered(message.id, message.sdp)) return;
        // Before the browser takes the answer in, which it does later.
        this.#nameProducers(new Map(message.producers.map(({ mid, producer }) => [mid, producer])));
        return;
      case "producers":
        if (this.#whole) this.#retireAllBut(message.added.map(({ producer }) => producer));
        this.#whole = false;
        for (const gone of message.removed) {
          this.#wishes.forget(gone);
          this.#incoming.find((end) => end.producer?.producer === gone)?.retire();
        }
        for (const producer of message.added) this.#subscribe(producer);
        if (!this.#ready || message.added.length > 0 || message.removed.length > 0) {
          this.#ready = true;
          this.events.changed();
          this.#negotiate();
        }
        return;
      case "wanted-layers": {
        const mine = [...this.#outgoing.values()].find(({ id }) => this.#producerOf(id) === message.producer);
        mine?.want(message.layers);
        return;
      }
      case "paused":
        this.#noRoom = new Set(message.producers);
        this.events.changed();
        return;
      case "error":
        if (message.fatal || message.code === "transport-lost") this.#end(message.code);
        else if (message.code === "shutting-down") this.events.moving();
        else if (message.code === "offer" || message.code === "not-allowed" || message.code === "too-many") {
          this.events.refused(message.message);
          this.#negotiation.unanswered();
        }
        return;
      case "pong":
        return;
    }
  }

  #negotiate(): void {
    void this.#negotiation.begin();
  }

  #negotiates(): Negotiation {
    const ready = (): boolean => this.#ready;
    return new Negotiation(this.#peer, {
      get ready() {
        return ready();
      },
      lists: (described) => this.#lists(described),
      send: (message) => this.#line?.send(message),
      agreed: (subscribed) => {
        this.#wishes.agreed(subscribed);
        if (this.#ready) this.#sayWishes(this.#wishes.again());
        for (const outgoing of this.#outgoing.values()) outgoing.agreed();
        this.events.changed();
      },
      lost: () => this.#end("lost"),
    });
  }

  #lists(described: Map<string, string>): { publish: Publish[]; subscribe: Subscribe[] } {
    return {
      publish: [...this.#outgoing.values()].flatMap(({ transceiver: { mid }, stream }) =>
        mid !== null && described.get(mid) === "sendonly" ? [{ mid, source: stream }] : [],
      ),
      subscribe: this.#incoming.flatMap(({ transceiver: { mid }, producer }) =>
        mid !== null && producer && described.get(mid) === "recvonly" ? [{ mid, producer: producer.producer }] : [],
      ),
    };
  }

  #sayWishes(wishes: Wish[]): void {
    if (wishes.length > 0) this.#line?.send({ type: "wishes", wishes });
  }

  #nameProducers(producers: ReadonlyMap<string, string>): void {
    for (const outgoing of this.#outgoing.values()) {
      const { mid } = outgoing.transceiver;
      if (mid !== null && producers.get(mid) !== this.#producers.get(mid)) outgoing.startAnew();
    }
    this.#producers = producers;
  }

  #producerOf(id: string): string | undefined {
    const outgoing = [...this.#outgoing.values()].find((end) => end.id === id);
    if (!outgoing) return this.receiver(id)?.producer?.producer;
    return outgoing.transceiver.mid ? this.#producers.get(outgoing.transceiver.mid) : undefined;
  }

  #connectionChanged(): void {
    if (this.#over) return;
    const { connectionState, iceConnectionState } = this.#peer;
    if (connectionState === "connected" && !this.#mending.underWay) this.events.up();
    // Of a path that failed there may be another; of a handshake there is not.
    if (connectionState === "failed" && iceConnectionState !== "failed") this.#end("lost");
  }

  /** A new way for the same media: new ICE credentials and candidates, over a new signalling connection if that broke too. */
  async #mend(): Promise<void> {
    if (this.#over || !this.#line || !this.#peer.currentRemoteDescription) return;
    this.#peer.restartIce();
    this.#mending.begin();
    // A line that does not hold is replaced, and then everything is offered anew, this included.
    if ((await this.#line.holds()) && !this.#over) this.#negotiate();
  }

  #mends(): Mending {
    const whole = (): boolean =>
      this.#ready && !this.#negotiation.busy && this.#path.hears && this.#peer.connectionState === "connected";
    return new Mending({
      get whole() {
        return whole();
      },
      up: () => this.events.up(),
      down: () => this.events.down(),
      lost: () => this.#end("lost"),
    });
  }

  #retireAllBut(producers: readonly string[]): void {
    for (const end of this.#incoming) {
      if (!end.producer || producers.includes(end.producer.producer)) continue;
      this.#wishes.forget(end.producer.producer);
      end.retire();
    }
  }

  #watchSenders(): void {
    if (!this.#keysThere || this.#peer.connectionState !== "connected") return;
    for (const outgoing of this.#outgoing.values()) {
      outgoing.waitedMs = outgoing.awaitsConfirmation ? outgoing.waitedMs + TRACK_MS : 0;
      if (outgoing.waitedMs >= CONFIRM_WITHIN_MS) {
        outgoing.waitedMs = 0;
        this.events.unconfirmed(outgoing.stream);
      }
    }
  }

  #end(why: RelayErrorCode | "lost"): void {
    if (this.#over) return;
    this.close();
    this.events.over(why);
  }
}
