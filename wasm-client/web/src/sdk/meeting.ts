// A meeting as the page uses it: intents in, one snapshot of state out. It puts together what the worker verified
// (roster, epoch, authenticated frames) with what the page holds (devices, connections); it decides nothing about trust.
import { ApiError, signIn } from "./api";
import type { EngineWorker } from "./engine-worker";
import { makeLink, type Pinned } from "./link";
import { Listeners } from "./listeners";
import { deviceWords } from "./media/device-words";
import type { LocalDevices } from "./media/devices";
import { Media } from "./media/media";
import type { RelaySession } from "./media/session";
import type { FromWorker, GroupView, Reception, ToWorker } from "./messages";
import { NoticeBoard } from "./notices";
import { Occupants } from "./occupants";
import { assemble } from "./people";
import { Attention } from "./attention";
import { ChatBook } from "./chat-book";
import { Comparing, type Shown } from "./comparing";
import { ReceptionBook } from "./reception";
import { SpeakerBook } from "./speakers";
import { Restarts } from "./restarts";
import { CONNECT_STEPS, type ConnectStep, type FailureCode, type MeetingState, type Phase, type Stream } from "./state";
import { exposeTap } from "./tap";
import { ComparedMarks } from "./trust";

export interface MeetingOptions {
  pinned: Pinned;
  name: string;
  devices: LocalDevices;
  /** Started before the name was typed, so that the engine is loaded when it is needed. */
  worker: EngineWorker;
}

/** How long a good-bye may take before the page lets go anyway. */
const LEAVE_MS = 400;
const REFRESH_MS = 500;
/** Pictures of people at once: more than anybody can look at, on a large window and on a telephone's. */
const PICTURES = { wide: 25, narrow: 9 };

export class Meeting {
  #state: MeetingState;
  #group: GroupView | null = null;
  #finished = false;
  readonly #listeners = new Listeners<MeetingState>();
  readonly #worker: EngineWorker;
  readonly #media: Media;
  readonly #book = new ReceptionBook();
  readonly #board = new NoticeBoard();
  readonly #chat = new ChatBook();
  readonly #speakers = new SpeakerBook();
  readonly #attention = new Attention();
  readonly #restarts = new Restarts();
  /** What the worker was told to get in with; the next one is told the same. */
  #way: Extract<ToWorker, { type: "join" }> | null = null;
  readonly #marks: ComparedMarks;
  readonly #comparing = new Comparing();
  readonly #occupants = new Occupants();
  readonly #refresh: number;
  readonly #bye = (): void => this.#worker.post({ type: "leave" });
  readonly #shown = (): void => {
    this.#attention.pageShown(document.visibilityState === "visible", performance.now());
    this.#attend();
  };

  constructor(readonly options: MeetingOptions) {
    this.#marks = new ComparedMarks(options.pinned.room);
    this.#worker = options.worker;
    this.#worker.subscribe((message) => this.#hear(message));
    this.#media = new Media(this.#worker, options.devices);
    this.#state = {
      phase: { name: "connecting", step: "engine" },
      room: options.pinned.room,
      profile: options.pinned.profile,
      link: makeLink(location.origin, options.pinned),
      epoch: null,
      code: [],
      cipher: "",
      people: [],
      local: this.#media.local,
      problems: options.devices.problems,
      chat: [],
      notices: [],
      delivery: "connecting",
      relay: "connecting",
      engine: "up",
    };
    this.#media.onChange(() => this.#update());
    options.devices.onProblem(({ kinds, problem }) => this.#notice("warning", deviceWords(kinds, problem)));
    this.#media.onNote((text) => this.#notice("alarm", text));
    this.#refresh = window.setInterval(() => {
      this.#listen();
      this.#update();
    }, REFRESH_MS);
    window.addEventListener("pagehide", this.#bye);
    document.addEventListener("visibilitychange", this.#shown);
    if (__TAP__) exposeTap({ worker: this.#worker, media: this.#media, state: () => this.#state });
    void this.#signIn();
  }

  get state(): MeetingState {
    return this.#state;
  }

  subscribe(listener: (state: MeetingState) => void): () => void {
    listener(this.#state);
    return this.#listeners.add(listener);
  }

  setMicrophone(on: boolean): void {
    void this.#media.setMicrophone(on);
  }

  setCamera(on: boolean): void {
    void this.#media.setCamera(on);
  }

  setScreen(on: boolean): void {
    if (!on) return this.#media.screen.stop();
    void this.#media.screen.start().then((problem) => {
      if (problem !== null) this.#notice("warning", problem);
    });
  }

  chat(text: string): void {
    if (!this.#chat.write(text, Date.now())) {
      return this.#notice("warning", "Too many messages wait to be sent already; this one was not taken.");
    }
    this.#worker.post({ type: "chat", text });
  }

  /** The user says that they compared what was shown. It holds for those who were there all the while (CLNT-19). */
  markCompared(shown: Shown): void {
    const group = this.#state.phase.name === "call" ? this.#group : null;
    const judged = this.#comparing.judge(shown, group, performance.now());
    if ("refused" in judged) return this.#notice("warning", judged.refused);
    this.#marks.mark(judged.compared);
    this.#update();
  }

  ownTrack(stream: "camera" | "screen"): MediaStreamTrack | null {
    return this.#media.ownTrack(stream);
  }

  /** The track on which this member's frames were authenticated, or null. */
  track(leaf: number, stream: Stream): MediaStreamTrack | null {
    return this.#media.session.track(leaf, stream);
  }

  /** How large somebody's picture is on the screen, in its own pixels; 0: out of sight; null: it has no place any more. */
  look(leaf: number, stream: Stream, height: number | null): void {
    this.#attention.look(leaf, stream, height, performance.now());
    this.#attend();
  }

  /** One person before all others, or nobody. */
  pin(leaf: number | null): void {
    this.#attention.pin(leaf);
    this.#update();
  }

  leave(): void {
    if (this.#finished) return;
    this.#bye();
    this.#media.close();
    this.#finish({ name: "left" }, LEAVE_MS);
  }

  async #signIn(): Promise<void> {
    const { pinned, name } = this.options;
    const { room } = pinned;
    try {
      const session = await signIn(room, name);
      if (this.#finished) return;
      const delivery = new URL(`/api/rooms/${encodeURIComponent(room)}/delivery`, location.origin);
      delivery.protocol = delivery.protocol === "https:" ? "wss:" : "ws:";
      this.#step("certificate");
      this.#way = { type: "join", pinned, session, deliveryUrl: delivery.href };
      this.#worker.post(this.#way);
    } catch (fault) {
      const { code, message } = fault instanceof ApiError ? fault : { code: "malformed", message: String(fault) };
      this.#fail(SIGN_IN_FAILURES[code] ?? "refused", message);
    }
  }

  #hear(message: FromWorker): void {
    if (this.#finished) return;
    switch (message.type) {
      case "ready":
        return this.#step("signing-in");
      case "progress":
        return this.#step(message.step);
      case "relay":
        return this.#media.useRelay(message.url, message.token, message.iceServers);
      case "group":
        return this.#enter(message.group);
      case "sending":
        return this.#media.expectSealing(message.epoch !== null);
      case "chat":
        this.#chat.said(message.line);
        return this.#update();
      case "delivery":
        if (message.state === "lost") this.#chat.connectionLost(Date.now());
        this.#set({ delivery: message.state });
        return this.#update();
      case "rejoining":
        this.#media.expectSealing(false);
        this.#chatLost();
        if (this.#group) this.#set({ phase: { name: "rejoining", why: message.why } });
        return this.#notice("warning", message.why);
      case "warning":
        return this.#notice("warning", message.text);
      case "ended":
        this.#media.close();
        return this.#finish({ name: "ended", reason: message.reason }, 0);
      case "failed":
        return this.#fail(message.code, message.detail);
      case "died":
        return this.#lose(message.reason);
      case "pace":
        return this.#set({ engine: message.slow ? "slow" : "up" });
      case "transform-lost":
        return this.#ofAll((session) => session.replaceEnd(message.id));
      case "sealed-first-frame":
        return this.#ofAll((session) => session.confirm(message.id));
      case "authenticated": {
        if (!this.#occupants.admits(message.leaf, message.epoch)) return;
        if (!this.#media.receiver(message.id)?.bind(message)) return;
        this.#book.authenticated(message.leaf, message.stream, message.epoch, performance.now());
        return this.#update();
      }
      case "reception":
        for (const report of message.reports) this.#received(report);
        return this.#update();
      case "key-frame-sent":
        return this.#ofAll((session) => session.keyFrameSent(message.id, message.ssrc, message.rtpTimestamp));
      case "key-frame-needed":
        return this.#ofAll((session) => session.requestKeyFrames(message.ids));
      case "held":
      case "attached":
      case "i-am-here":
      case "stats":
      case "tap":
        return;
    }
  }

  /** Ids of senders and receivers are unique, so whoever does not have one does nothing. */
  #ofAll(step: (session: RelaySession) => void): void {
    this.#media.sessions.forEach(step);
  }

  #enter(group: GroupView): void {
    const former = this.#group;
    this.#group = group;
    this.#comparing.see(group, performance.now());
    // CLNT-20: nothing of whoever had a leaf before is shown or told under the name of whom it belongs to now.
    const changed = this.#occupants.see(group.epoch, group.roster);
    for (const kept of [this.#book, this.#speakers, this.#attention]) kept.forget(changed);
    this.#ofAll((session) => session.forgetLeaves(changed));
    for (const text of this.#board.comings(former, group)) this.#notice("calm", text);
    if (this.#state.phase.name === "restarting") this.#notice("calm", BACK);
    this.#set({ phase: { name: "call" }, epoch: group.epoch, code: group.code, cipher: group.cipher });
    this.#update();
  }

  #received(report: Reception): void {
    const { leaf: sender, epoch } = report;
    if (sender !== null && epoch !== null && !this.#occupants.admits(sender, epoch)) return;
    const producer = this.#media.receiver(report.id)?.producer;
    const named = this.#group?.roster.find((member) => member.person === producer?.participant);
    const leaf = report.leaf ?? named?.leaf;
    const stream = report.stream ?? producer?.source;
    if (leaf !== undefined && stream !== undefined) this.#book.report(report, leaf, stream, performance.now());
  }

  /** CLNT-11: the worker is dead, and the keys with it. Another one joins in its place, a few times. */
  #lose(reason: string): void {
    this.#media.halt();
    const wait = this.#restarts.next(performance.now());
    if (wait === null) return this.#fail("worker-died", reason);
    this.#book.clear();
    this.#chatLost();
    if (this.#group) this.#set({ phase: { name: "restarting", why: reason, step: "engine" }, engine: "up" });
    this.#update();
    // A timer of a tab in the background would be late, and the first time there is nothing to wait for.
    if (wait === 0) queueMicrotask(() => this.#startAnew());
    else window.setTimeout(() => this.#startAnew(), wait);
  }

  #chatLost(): void {
    const lost = this.#chat.lose();
    if (lost > 0) this.#notice("warning", `${lost === 1 ? "A message" : `${lost} messages`} of yours could not be sent. See the chat.`);
  }

  #startAnew(): void {
    if (this.#finished) return;
    this.#worker.restart();
    this.#media.resume();
    if (this.#way) this.#worker.post(this.#way);
  }

  /** Steps are taken at the same time by page and worker; the furthest one is shown. */
  #step(step: ConnectStep): void {
    const { phase } = this.#state;
    if (phase.name !== "connecting" && phase.name !== "restarting") return;
    if (CONNECT_STEPS.indexOf(step) > CONNECT_STEPS.indexOf(phase.step)) this.#set({ phase: { ...phase, step } });
  }

  #notice(tone: "calm" | "warning" | "alarm", text: string): void {
    this.#board.add(tone, text, Date.now());
    this.#update();
  }

  #fail(code: FailureCode, detail: string): void {
    this.#media.close();
    this.#finish({ name: "failed", code, detail }, 0);
  }

  #finish(phase: Phase, graceMs: number): void {
    this.#finished = true;
    window.clearInterval(this.#refresh);
    window.removeEventListener("pagehide", this.#bye);
    document.removeEventListener("visibilitychange", this.#shown);
    window.setTimeout(() => this.#worker.close(), graceMs);
    this.#set({ phase });
  }

  #listen(): void {
    const { session } = this.#media;
    void session.loudness().then(
      (all) => {
        if (session !== this.#media.session) return;
        for (const { leaf, level } of all) this.#speakers.hear(leaf, level, performance.now());
      },
      () => undefined, // the connection was closed meanwhile
    );
  }

  /** Tells the relay what this device wants to see. */
  #attend(): void {
    const { session } = this.#media;
    const of = (person: string): number | undefined =>
      this.#group?.roster.find((member) => member.person === person)?.leaf;
    const most = matchMedia("(max-width: 44rem)").matches ? PICTURES.narrow : PICTURES.wide;
    session.wish(
      this.#attention.wishes(session.viewables(of), this.#speakers.recent(), most, performance.now()),
    );
  }

  #update(): void {
    if (this.#finished) return;
    this.#attend();
    const seen = { book: this.#book, speakers: this.#speakers, pinned: this.#attention.pinned };
    this.#set({
      people: this.#group
        ? assemble(this.#group, seen, this.#marks, Date.now(), performance.now(), (person, stream) =>
            this.#media.session.hasNoRoom(person, stream),
          )
        : [],
      local: this.#media.local,
      problems: this.options.devices.problems,
      relay: this.#media.link,
      chat: this.#chat.lines(Date.now()),
      notices: this.#board.current(Date.now()),
    });
  }

  #set(change: Partial<MeetingState>): void {
    this.#state = { ...this.#state, ...change };
    this.#listeners.tell(this.#state);
  }
}

const BACK = "Encryption was started anew and you are back, with a new key. The others see that your key is another one.";

const SIGN_IN_FAILURES: Record<string, FailureCode> = {
  unreachable: "server-unreachable",
  "room-not-found": "room-not-found",
  "name-invalid": "name-invalid",
};
