// Which camera and microphone: changing one replaces the running track, and nothing is negotiated anew.
import { useEffect, useState } from "preact/hooks";
import type { JSX } from "preact";
import type { DeviceKind, LocalDevices } from "../../sdk/media/devices";

type Choices = Awaited<ReturnType<LocalDevices["list"]>>;

const NAMES: Record<DeviceKind, string> = { camera: "Camera", microphone: "Microphone" };

export function DevicePicker({ devices }: { devices: LocalDevices }): JSX.Element {
  const [choices, setChoices] = useState<Choices | null>(null);
  useEffect(() => {
    const refresh = (): void => void devices.list().then(setChoices, () => undefined);
    refresh();
    const stop = devices.subscribe(refresh);
    navigator.mediaDevices.addEventListener("devicechange", refresh);
    return () => {
      stop();
      navigator.mediaDevices.removeEventListener("devicechange", refresh);
    };
  }, [devices]);
  // The lists come when the browser has asked the user; their place is there before, or everything below would jump.
  return (
    <div class="devices">
      {(["camera", "microphone"] as const).map((kind) => {
        const found = choices?.[kind] ?? [];
        return (
          <label key={kind}>
            <span>{NAMES[kind]}</span>
            <select
              data-testid={`choose-${kind}`}
              disabled={found.length === 0}
              value={devices.current(kind) ?? ""}
              onChange={(event) => void devices.choose(kind, event.currentTarget.value)}
            >
              {found.length === 0 && <option value="">{choices ? "None found" : "Looking …"}</option>}
              {found.map(({ id, label }) => (
                <option key={id} value={id}>
                  {label}
                </option>
              ))}
            </select>
          </label>
        );
      })}
    </div>
  );
}
