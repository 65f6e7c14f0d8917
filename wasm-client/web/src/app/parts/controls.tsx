// The bar with one's own devices, the panels and the way out.
import type { JSX } from "preact";
import { deviceWords } from "../../sdk/media/device-words";
import type { DeviceProblems } from "../../sdk/media/devices";
import type { LocalDevice, LocalMedia } from "../../sdk/state";
import { Camera, CameraOff, Chat, Leave, Mic, MicOff, People, Screen } from "./icons";

export type Panel = "security" | "chat";

export interface ControlsProps {
  local: LocalMedia;
  problems: DeviceProblems;
  panel: Panel | null;
  unread: number;
  onMicrophone: (on: boolean) => void;
  onCamera: (on: boolean) => void;
  onScreen: (on: boolean) => void;
  onPanel: (panel: Panel) => void;
  onLeave: () => void;
}

export function Controls(props: ControlsProps): JSX.Element {
  const { local, problems, panel, unread } = props;
  const canShare = "getDisplayMedia" in navigator.mediaDevices;
  return (
    <div class="controls" role="group" aria-label="Your devices and the meeting">
      <Toggle
        testid="microphone"
        device={local.microphone}
        hint={problems.microphone && deviceWords(["microphone"], problems.microphone)}
        on={isOn(local.microphone)}
        label={isOn(local.microphone) ? "Mute" : "Unmute"}
        icon={isOn(local.microphone) ? <Mic /> : <MicOff />}
        onToggle={props.onMicrophone}
      />
      <Toggle
        testid="camera"
        device={local.camera}
        hint={problems.camera && deviceWords(["camera"], problems.camera)}
        on={isOn(local.camera)}
        label={isOn(local.camera) ? "Stop camera" : "Start camera"}
        icon={isOn(local.camera) ? <Camera /> : <CameraOff />}
        onToggle={props.onCamera}
      />
      {canShare && (
        <Toggle
          testid="screen"
          device={local.screen}
          on={isOn(local.screen)}
          label={isOn(local.screen) ? "Stop sharing" : "Share screen"}
          icon={<Screen />}
          onToggle={props.onScreen}
        />
      )}
      <span class="controls-gap" />
      <PanelButton
        name="security"
        label="People and security"
        short="People"
        icon={<People />}
        open={panel === "security"}
        onPanel={props.onPanel}
      />
      <PanelButton
        name="chat"
        label="Chat"
        short="Chat"
        icon={<Chat />}
        open={panel === "chat"}
        onPanel={props.onPanel}
        unread={unread}
      />
      <button type="button" class="control control-leave" data-testid="leave" onClick={props.onLeave}>
        <Leave />
        <span class="control-label">Leave</span>
      </button>
    </div>
  );
}

interface ToggleProps {
  testid: string;
  device: LocalDevice;
  /** More than the state says by itself. */
  hint?: string | null;
  on: boolean;
  label: string;
  icon: JSX.Element;
  onToggle: (on: boolean) => void;
}

function Toggle({ testid, device, hint = null, on, label, icon, onToggle }: ToggleProps): JSX.Element {
  const busy = device === "starting";
  return (
    <button
      type="button"
      class={`control${on ? "" : " control-off"}${device === "unsealed" ? " control-alarm" : ""}`}
      data-testid={testid}
      data-state={device}
      aria-busy={busy}
      title={hint ?? deviceHint(device)}
      onClick={() => onToggle(!on)}
    >
      {icon}
      <span class="control-label">{label}</span>
    </button>
  );
}

interface PanelButtonProps {
  name: Panel;
  label: string;
  short: string;
  icon: JSX.Element;
  open: boolean;
  unread?: number;
  onPanel: (panel: Panel) => void;
}

function PanelButton({ name, label, short, icon, open, unread = 0, onPanel }: PanelButtonProps): JSX.Element {
  const news = unread > 0 && !open;
  return (
    <button
      type="button"
      class={`control${open ? " control-open" : ""}`}
      data-testid={`panel-${name}`}
      aria-expanded={open}
      aria-controls="panel"
      aria-label={news ? `${label}, ${unread} new` : label}
      onClick={() => onPanel(name)}
    >
      {icon}
      <span class="control-label">{short}</span>
      {news && (
        <span class="control-news" aria-hidden="true">
          {unread}
        </span>
      )}
    </button>
  );
}

export function isOn(device: LocalDevice): boolean {
  return device === "on" || device === "held" || device === "starting";
}

function deviceHint(device: LocalDevice): string {
  switch (device) {
    case "off":
      return "Off";
    case "starting":
      return "Starting";
    case "held":
      return "Held back until a frame of yours was seen to leave encrypted";
    case "on":
      return "On, encrypted";
    case "blocked":
      return "It could not be started";
    case "unsealed":
      return "Not sent: this browser did not confirm that it encrypts";
  }
}
