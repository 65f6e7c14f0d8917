// The door: one's own picture and name, before anything is sent.
import type { JSX } from "preact";
import type { LocalDevices } from "../../sdk/media/devices";
import { DevicePicker } from "../parts/device-picker";
import { Camera, CameraOff, Mic, MicOff } from "../parts/icons";
import { Video } from "../parts/video";
import { deviceWords } from "../../sdk/media/device-words";
import { NameForm } from "./name-form";
import { Shell } from "./shell";

export interface JoinProps {
  devices: LocalDevices;
  onJoin: (name: string) => void;
}

export function Join({ devices, onJoin }: JoinProps): JSX.Element {
  const { problems } = devices;
  const { microphone, camera } = devices.tracks;
  return (
    <Shell testid="join">
      <div class="join">
        <section class="preview" aria-label="Your picture">
          {camera ? (
            <Video track={camera} label="Your own picture" mirrored />
          ) : (
            <p class="preview-off">{problems.camera ? deviceWords(["camera"], problems.camera) : "Your camera is off"}</p>
          )}
          <div class="preview-controls">
            <button
              type="button"
              class={`control${microphone ? "" : " control-off"}`}
              aria-label="Microphone"
              aria-pressed={microphone !== null}
              data-testid="preview-microphone"
              onClick={() => void devices.set("microphone", microphone === null)}
            >
              {microphone ? <Mic /> : <MicOff />}
              <span class="control-label">{microphone ? "Microphone on" : "Microphone off"}</span>
            </button>
            <button
              type="button"
              class={`control${camera ? "" : " control-off"}`}
              aria-label="Camera"
              aria-pressed={camera !== null}
              data-testid="preview-camera"
              onClick={() => void devices.set("camera", camera === null)}
            >
              {camera ? <Camera /> : <CameraOff />}
              <span class="control-label">{camera ? "Camera on" : "Camera off"}</span>
            </button>
          </div>
        </section>
        <section class="card" aria-labelledby="join-title">
          <h1 id="join-title">Join the meeting</h1>
          <NameForm action="Join" busy={false} problem={null} onSubmit={onJoin}>
            <DevicePicker devices={devices} />
            {problems.microphone && <p class="problem">{deviceWords(["microphone"], problems.microphone)}</p>}
            <p class="hint">No sound and no picture leaves this browser before you join, and none unencrypted after.</p>
          </NameForm>
        </section>
      </div>
    </Shell>
  );
}
