// Everything between one's devices and the relay: which tracks are wanted, the session that carries them, and its
// replacement when it is lost.
import type { EngineWorker } from "../engine-worker";
import { Listeners } from "../listeners";
import { relayUrl } from "../relay/socket";
import { OWN_STREAM, STREAMS, type Link, type LocalDevice, type LocalMedia, type MediaLink, type Stream } from "../state";
import { hasEncodedStreams, hasScriptTransform } from "../support";
import type { IceServer } from "../messages";
import type { Way } from "./attach";
import { preferredCodec } from "./codec";
import type { LocalDevices } from "./devices";
import type { Incoming } from "./incoming";
import { ScreenShare } from "./screen";
import { RelaySession, type RelayCredentials } from "./session";

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 8_000;
/** A connection stands well within this on a slow line too. */
const SLOW_AFTER_MS = 2_500;
/** Between attempts to move to another relay, while the old one still serves. */
const MOVE_EVERY_MS = 1_000;

export class Media {
  readonly screen = new ScreenShare();
  readonly #changes = new Listeners<void>();
  readonly #notes = new Listeners<string>();
  #way: Way = hasScriptTransform() ? "script" : "streams";
  #credentials: RelayCredentials | null = null;
  #session: RelaySession;
  #link: Link | "ended" = "connecting";
  /** Since when it is; null: there is no relay yet to connect to. */
  #connectingSince: number | null = null;
  /** The session came to its end and has no successor yet. */
  #sessionOver = false;
  /** RELY-52: takes the session's place once it stands. The relay of the old one is going down. */
  #successor: RelaySession | null = null;
  #retryMs = FIRST_RETRY_MS;
  #retry: number | undefined;
  #moving: number | undefined;
  #toldFull = false;
  #keysThere = false;
  #audible = true;
  #starting: Partial<Record<"microphone" | "camera", boolean>> = {};
  #closed = false;

  constructor(
    readonly worker: EngineWorker,
    readonly devices: LocalDevices,
  ) {
    this.#session = this.#open();
    devices.subscribe(() => this.#carryAll());
    this.screen.subscribe(() => this.#carryAll());
  }

  /** Something that `local`, `link` or `track` tell has changed. */
  onChange(listener: () => void): void {
    this.#changes.add(listener);
  }

  /** Something that the user should hear once. */
  onNote(listener: (text: string) => void): void {
    this.#notes.add(listener);
  }

  get session(): RelaySession {
    return this.#session;
  }

  /** The one that carries media, and during a move the one that is to take its place: what is said to one holds for both. */
  get sessions(): readonly RelaySession[] {
    return this.#successor ? [this.#session, this.#successor] : [this.#session];
  }

  get link(): MediaLink {
    const since = this.#connectingSince;
    const slow = this.#link === "connecting" && since !== null && performance.now() - since >= SLOW_AFTER_MS;
    return slow ? "slow" : this.#link;
  }

  /** The receiver of this id, whichever session it belongs to. */
  receiver(id: string): Incoming | null {
    for (const session of this.sessions) {
      const found = session.receiver(id);
      if (found) return found;
    }
    return null;
  }

  get local(): LocalMedia {
    return {
      microphone: this.#audible || !this.devices.tracks.microphone ? this.#device("microphone") : "off",
      camera: this.#device("camera"),
      screen: this.screen.tracks.screen ? this.#released("screen") : "off",
    };
  }

  ownTrack(stream: "camera" | "screen"): MediaStreamTrack | null {
    return stream === "camera" ? this.devices.tracks.camera : this.screen.tracks.screen;
  }

  /** Where the relay is. The first call connects; a later one brings a fresh token, with which the connection goes on. */
  useRelay(url: string, token: string, iceServers: IceServer[]): void {
    const first = this.#credentials === null;
    this.#credentials = { url: relayUrl(url, location.origin), token, iceServers };
    if (first) {
      this.#connectingSince = performance.now();
      this.#session.connect(this.#credentials);
    } else if (this.#sessionOver) this.#reconnectSoon();
    else this.#session.renew(this.#credentials);
    this.#successor?.renew(this.#credentials);
  }

  expectSealing(keysThere: boolean): void {
    this.#keysThere = keysThere;
    for (const session of this.sessions) session.expectSealing(keysThere);
  }

  /** Muting keeps the microphone open, so that unmuting is immediate; the first time may have to ask for it. */
  async setMicrophone(on: boolean): Promise<void> {
    this.#audible = on;
    for (const session of this.sessions) session.setAudible(on);
    if (on && !this.devices.tracks.microphone) await this.#switch("microphone", true);
    this.#changes.tell();
  }

  /** Off stops the camera itself. */
  setCamera(on: boolean): Promise<void> {
    return this.#switch("camera", on);
  }

  /** CLNT-11: there is no worker. What was open is closed at once, and nothing is carried until `resume`. */
  halt(): void {
    window.clearTimeout(this.#retry);
    this.#keysThere = false;
    this.#link = "lost";
    this.#closeSessions();
    this.#changes.tell();
  }

  /** There is another worker: a connection whose transforms are its. */
  resume(): void {
    if (this.#closed) return;
    this.#link = "connecting";
    this.#connectingSince = this.#credentials && performance.now();
    this.#retryMs = FIRST_RETRY_MS;
    if (this.#credentials) this.#reconnect();
    else this.#open();
  }

  close(): void {
    this.#closed = true;
    window.clearTimeout(this.#retry);
    this.#closeSessions();
    this.devices.stopAll();
    this.screen.close();
  }

  async #switch(kind: "microphone" | "camera", on: boolean): Promise<void> {
    this.#starting = { ...this.#starting, [kind]: on };
    this.#changes.tell();
    await this.devices.set(kind, on);
    this.#starting = { ...this.#starting, [kind]: false };
    this.#changes.tell();
  }

  #device(kind: "microphone" | "camera"): LocalDevice {
    if (this.#starting[kind]) return "starting";
    if (!this.devices.tracks[kind]) return this.devices.problems[kind] === null ? "off" : "blocked";
    return this.#released(kind);
  }

  #released(stream: Stream): LocalDevice {
    const sending = this.#session.sending(stream);
    return sending === "sent" ? "on" : sending === "unsealed" ? "unsealed" : "held";
  }

  #open(): RelaySession {
    this.#session = this.#make();
    this.#sessionOver = false;
    this.#carryAll();
    return this.#session;
  }

  #make(): RelaySession {
    const session: RelaySession = new RelaySession(this.worker, this.#way, preferredCodec(location.search), {
      up: () => {
        if (session === this.#successor) {
          this.#session.close();
          this.#succeed(session);
        }
        this.#link = "up";
        this.#retryMs = FIRST_RETRY_MS;
        this.#toldFull = false;
        this.#changes.tell();
      },
      down: () => {
        if (session !== this.#session) return;
        this.#link = "lost";
        this.#changes.tell();
      },
      moving: () => {
        if (session === this.#session) this.#move();
      },
      over: (why) => {
        if (session === this.#successor) {
          this.#successor = null;
          this.#moving = window.setTimeout(() => this.#move(), MOVE_EVERY_MS);
          return;
        }
        const wanted = why !== "disconnected" && why !== "replaced";
        this.#link = wanted ? "lost" : "ended";
        this.#changes.tell();
        if (this.#successor) return this.#succeed(this.#successor);
        this.#sessionOver = true;
        if (why === "relay-full") {
          this.#retryMs = LAST_RETRY_MS;
          if (!this.#toldFull)
            this.#notes.tell("The relay has no room for this device's sound and picture now. Trying again by itself.");
          this.#toldFull = true;
        }
        if (wanted) this.#reconnectSoon();
      },
      changed: () => this.#changes.tell(),
      refused: (words) => this.#notes.tell(`The relay did not take what this device offered: ${words}`),
      unconfirmed: (stream) => {
        if (this.sessions.includes(session)) this.#unconfirmed(session, stream);
      },
    });
    session.expectSealing(this.#keysThere);
    session.setAudible(this.#audible);
    return session;
  }

  /** Looks for another relay, while media goes on over the one that is going down. */
  #move(): void {
    if (this.#closed || this.#sessionOver || this.#successor || !this.#credentials) return;
    this.#successor = this.#make();
    this.#successor.connect(this.#credentials);
    this.#carryAll();
  }

  #succeed(successor: RelaySession): void {
    this.#successor = null;
    this.#session = successor;
    // CLNT-18: once more, whatever came in between: what is said to be muted must not be heard.
    successor.setAudible(this.#audible);
    this.#changes.tell();
  }

  /** Nothing of what was open carries anything any more, nor what was to take its place. */
  #closeSessions(): void {
    window.clearTimeout(this.#moving);
    for (const session of this.sessions) session.close();
    this.#successor = null;
  }

  #carryAll(): void {
    if (this.#closed) return;
    const tracks: Record<Stream, MediaStreamTrack | null> = { ...this.devices.tracks, ...this.screen.tracks };
    for (const session of this.sessions)
      for (const stream of STREAMS)
        void session.carry(stream, tracks[stream]).then(() => session.setAudible(this.#audible));
    this.#changes.tell();
  }

  #reconnectSoon(): void {
    if (this.#closed) return;
    window.clearTimeout(this.#retry);
    this.#link = "lost";
    const wait = this.#retryMs * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    this.#retry = window.setTimeout(() => this.#reconnect(), wait);
  }

  #reconnect(): void {
    if (this.#closed || !this.#credentials) return;
    this.#open().connect(this.#credentials);
  }

  /** PF-28: the other way where the browser has one and this one sealed nothing at all; else another sender; else it is not sent. */
  #unconfirmed(session: RelaySession, stream: Stream): void {
    const works = session.confirmsAny;
    if (!works && this.#way === "script" && hasEncodedStreams()) {
      this.#notes.tell(
        `The browser did not confirm that it encrypts ${OWN_STREAM[stream]}. Trying its other way; until that is confirmed, nothing of you is sent.`,
      );
      this.#way = "streams";
      this.#closeSessions();
      this.#link = "lost";
      this.#reconnect();
      return;
    }
    if (works && session.tryAnotherSender(stream)) return;
    session.stopForGood(stream);
    this.#notes.tell(
      `The browser did not confirm that it encrypts ${OWN_STREAM[stream]}, so that is not sent. You can hear and see the others.`,
    );
  }
}
