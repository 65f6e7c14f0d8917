// Camera and microphone of this device. CLNT-13: off means off: the track is stopped, so the camera's light goes out.
import { Listeners } from "../listeners";

export type DeviceKind = "microphone" | "camera";
export type DeviceProblem = "denied" | "missing" | "busy" | "failed";
export type LocalTracks = Readonly<Record<DeviceKind, MediaStreamTrack | null>>;

const CAMERA: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30, max: 30 },
};
const MICROPHONE: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class LocalDevices {
  tracks: LocalTracks = { microphone: null, camera: null };
  problem: DeviceProblem | null = null;
  readonly #listeners = new Listeners<LocalTracks>();
  readonly #chosen: Partial<Record<DeviceKind, string>> = {};
  /** Grows with each wish for a device, so that an answer to an outdated one is thrown away. */
  readonly #wish: Record<DeviceKind, number> = { microphone: 0, camera: 0 };

  subscribe(listener: (tracks: LocalTracks) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Asks for both at once, so that the browser asks the user once; then for each alone. */
  async start(): Promise<void> {
    const microphone = ++this.#wish.microphone;
    const camera = ++this.#wish.camera;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE, video: CAMERA });
      this.problem = null;
      this.#take("microphone", microphone, stream.getAudioTracks()[0]);
      this.#take("camera", camera, stream.getVideoTracks()[0]);
    } catch (fault) {
      this.problem = problemOf(fault);
      if (this.problem !== "denied") {
        await this.set("microphone", true);
        await this.set("camera", true);
      }
      this.#listeners.tell(this.tracks);
    }
  }

  /** Switches one device on or off. Resolves when it is so, or when `problem` says why it is not. */
  async set(kind: DeviceKind, on: boolean): Promise<void> {
    const wish = ++this.#wish[kind];
    if (!on) {
      this.tracks[kind]?.stop();
      this.#put(kind, null);
      return;
    }
    const chosen = this.#chosen[kind];
    const constraints = {
      ...(kind === "camera" ? CAMERA : MICROPHONE),
      ...(chosen ? { deviceId: { exact: chosen } } : {}),
    };
    try {
      const stream = await navigator.mediaDevices.getUserMedia(
        kind === "camera" ? { video: constraints } : { audio: constraints },
      );
      this.problem = null;
      this.#take(kind, wish, stream.getTracks()[0]);
    } catch (fault) {
      this.problem = problemOf(fault);
      this.#put(kind, null);
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

  stopAll(): void {
    for (const kind of ["microphone", "camera"] as const) void this.set(kind, false);
  }

  #take(kind: DeviceKind, wish: number, track: MediaStreamTrack | undefined): void {
    if (!track) return;
    if (this.#wish[kind] !== wish) {
      track.stop();
      return;
    }
    if (kind === "camera") track.contentHint = "motion";
    track.addEventListener("ended", () => {
      if (this.tracks[kind] === track) this.#put(kind, null);
    });
    this.#put(kind, track);
  }

  #put(kind: DeviceKind, track: MediaStreamTrack | null): void {
    this.tracks = { ...this.tracks, [kind]: track };
    this.#listeners.tell(this.tracks);
  }
}

function problemOf(fault: unknown): DeviceProblem {
  const name = fault instanceof DOMException ? fault.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "denied";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "missing";
  if (name === "NotReadableError" || name === "AbortError") return "busy";
  return "failed";
}
