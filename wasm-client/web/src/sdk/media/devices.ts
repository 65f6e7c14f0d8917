// Camera and microphone of this device. CLNT-13: off means off: the track is stopped, so the camera's light goes out. CLNT-21: what the
// browser gives when nobody wants it any more is stopped at once.
import { Listeners } from "../listeners";

export const DEVICE_KINDS = ["microphone", "camera"] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];
/** `gone`: it worked and then ended without this page's doing. */
export type DeviceProblem = "denied" | "missing" | "busy" | "failed" | "gone";
export type LocalTracks = Readonly<Record<DeviceKind, MediaStreamTrack | null>>;
export type DeviceProblems = Readonly<Record<DeviceKind, DeviceProblem | null>>;

const CAMERA: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30, max: 30 },
};
const MICROPHONE: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class LocalDevices {
  tracks: LocalTracks = { microphone: null, camera: null };
  problems: DeviceProblems = { microphone: null, camera: null };
  readonly #listeners = new Listeners<LocalTracks>();
  readonly #troubled = new Listeners<{ kinds: readonly DeviceKind[]; problem: DeviceProblem }>();
  readonly #chosen: Partial<Record<DeviceKind, string>> = {};
  /** Grows with each wish for a device, so that an answer to an outdated one is thrown away. */
  readonly #wish: Record<DeviceKind, number> = { microphone: 0, camera: 0 };
  #closed = false;

  subscribe(listener: (tracks: LocalTracks) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Said once for each time that something did not start, or ended by itself. */
  onProblem(listener: (trouble: { kinds: readonly DeviceKind[]; problem: DeviceProblem }) => void): () => void {
    return this.#troubled.add(listener);
  }

  /** Asks for both at once, so that the browser asks the user once; then for each alone. */
  async start(): Promise<void> {
    if (this.#closed) return;
    const microphone = ++this.#wish.microphone;
    const camera = ++this.#wish.camera;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE, video: CAMERA });
      this.#take("microphone", microphone, stream.getAudioTracks()[0]);
      this.#take("camera", camera, stream.getVideoTracks()[0]);
    } catch (fault) {
      const problem = problemOf(fault);
      if (problem === "denied") {
        this.#fail(DEVICE_KINDS.filter((kind) => this.#wants(kind, { microphone, camera }[kind])), problem);
        return;
      }
      if (this.#wants("microphone", microphone)) await this.set("microphone", true);
      if (this.#wants("camera", camera)) await this.set("camera", true);
    }
  }

  /** Switches one device on or off. Resolves when it is so, or when `problems` says why it is not. */
  async set(kind: DeviceKind, on: boolean): Promise<void> {
    const wish = ++this.#wish[kind];
    if (!on) {
      this.tracks[kind]?.stop();
      this.#put(kind, null, null);
      return;
    }
    if (this.#closed) return;
    try {
      const stream = await this.#ask(kind, wish);
      if (stream) this.#take(kind, wish, stream.getTracks()[0]);
    } catch (fault) {
      if (this.#wants(kind, wish)) this.#fail([kind], problemOf(fault));
    }
  }

  /** What there is to choose from. Browsers give names only after the first permission. */
  async list(): Promise<Record<DeviceKind, { id: string; label: string }[]>> {
    const all = await navigator.mediaDevices.enumerateDevices();
    const of = (kind: MediaDeviceKind): { id: string; label: string }[] =>
      all
        .filter((device) => device.kind === kind && device.deviceId !== "")
        .map(({ deviceId, label }) => ({ id: deviceId, label: label || "Unnamed device" }));
    return { microphone: of("audioinput"), camera: of("videoinput") };
  }

  /** The device in use, or chosen for when it is switched on. */
  current(kind: DeviceKind): string | undefined {
    return this.#chosen[kind] ?? this.tracks[kind]?.getSettings().deviceId;
  }

  /** Another camera or microphone: the new track replaces the running one. */
  async choose(kind: DeviceKind, deviceId: string): Promise<void> {
    this.#chosen[kind] = deviceId;
    const running = this.tracks[kind];
    if (!running) return;
    await this.set(kind, true);
    if (this.tracks[kind] !== running) running.stop();
  }

  /** For good: what comes later is stopped too. */
  stopAll(): void {
    this.#closed = true;
    for (const kind of DEVICE_KINDS) void this.set(kind, false);
  }

  /** Whether what was wished for then is still wanted. */
  #wants(kind: DeviceKind, wish: number): boolean {
    return !this.#closed && this.#wish[kind] === wish;
  }

  /** The chosen device, or any other where that one is not there any more; null: it is not wanted any more. */
  async #ask(kind: DeviceKind, wish: number): Promise<MediaStream | null> {
    const chosen = this.#chosen[kind];
    if (chosen === undefined) return open(kind, {});
    try {
      return await open(kind, { deviceId: { exact: chosen } });
    } catch (fault) {
      if (!(fault instanceof DOMException && VANISHED.includes(fault.name))) throw fault;
      if (this.#chosen[kind] === chosen) delete this.#chosen[kind];
      return this.#wants(kind, wish) ? open(kind, {}) : null;
    }
  }

  #take(kind: DeviceKind, wish: number, track: MediaStreamTrack | undefined): void {
    if (!track) return;
    if (!this.#wants(kind, wish)) {
      track.stop();
      return;
    }
    if (kind === "camera") track.contentHint = "motion";
    track.addEventListener("ended", () => {
      if (this.tracks[kind] === track) this.#fail([kind], "gone");
    });
    this.#put(kind, track, null);
  }

  #fail(kinds: readonly DeviceKind[], problem: DeviceProblem): void {
    if (kinds.length === 0) return;
    for (const kind of kinds) this.#put(kind, null, problem);
    this.#troubled.tell({ kinds, problem });
  }

  #put(kind: DeviceKind, track: MediaStreamTrack | null, problem: DeviceProblem | null): void {
    this.tracks = { ...this.tracks, [kind]: track };
    this.problems = { ...this.problems, [kind]: problem };
    this.#listeners.tell(this.tracks);
  }
}

/** What browsers say of a device that was named exactly and is not there. */
const VANISHED = ["OverconstrainedError", "NotFoundError"];

function open(kind: DeviceKind, which: MediaTrackConstraints): Promise<MediaStream> {
  const constraints = { ...(kind === "camera" ? CAMERA : MICROPHONE), ...which };
  return navigator.mediaDevices.getUserMedia(kind === "camera" ? { video: constraints } : { audio: constraints });
}

function problemOf(fault: unknown): DeviceProblem {
  const name = fault instanceof DOMException ? fault.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "denied";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "missing";
  if (name === "NotReadableError" || name === "AbortError") return "busy";
  return "failed";
}
