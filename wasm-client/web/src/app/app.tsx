// Which page is shown: from the address before a meeting, from the meeting's state in it.
import { useEffect, useMemo, useState } from "preact/hooks";
import type { JSX } from "preact";
import { EngineWorker } from "../sdk/engine-worker";
import { makeLink, parseLink } from "../sdk/link";
import { LocalDevices } from "../sdk/media/devices";
import { Meeting } from "../sdk/meeting";
import { missingFeature } from "../sdk/support";
import { Call } from "./pages/call";
import { Connecting } from "./pages/connecting";
import { Join } from "./pages/join";
import { IncompleteLink, Message } from "./pages/message";
import { Start } from "./pages/start";
import { failureWords } from "./words";

export function App(): JSX.Element {
  const missing = useMemo(missingFeature, []);
  const worker = useMemo(() => (missing === null ? new EngineWorker() : null), [missing]);
  const [meeting, setMeeting] = useState<Meeting | null>(null);
  const link = parseLink(location);

  if (missing !== null || worker === null) {
    const words = failureWords("unsupported-browser", missing ?? "");
    return <Message testid="unsupported" tone="alarm" title={words.title} detail={words.detail} />;
  }
  if (meeting) return <InMeeting meeting={meeting} />;
  switch (link.kind) {
    case "none":
      return (
        <Start
          onRoom={(pinned, name) => {
            history.replaceState(null, "", makeLink("", pinned));
            const devices = new LocalDevices();
            void devices.start();
            setMeeting(new Meeting({ pinned, name, devices, worker }));
          }}
        />
      );
    case "incomplete":
      return <IncompleteLink />;
    case "complete":
      return (
        <Door
          onJoin={(name, devices) => setMeeting(new Meeting({ pinned: link.pinned, name, devices, worker }))}
        />
      );
  }
}

function Door({ onJoin }: { onJoin: (name: string, devices: LocalDevices) => void }): JSX.Element {
  const devices = useMemo(() => new LocalDevices(), []);
  const [, redraw] = useState(0);
  useEffect(() => {
    const stop = devices.subscribe(() => redraw((n) => n + 1));
    void devices.start();
    return stop;
  }, [devices]);
  return <Join devices={devices} onJoin={(name) => onJoin(name, devices)} />;
}

function InMeeting({ meeting }: { meeting: Meeting }): JSX.Element {
  const [state, setState] = useState(meeting.state);
  useEffect(() => meeting.subscribe(setState), [meeting]);
  const reload = (): void => location.reload();
  switch (state.phase.name) {
    case "connecting":
      return <Connecting step={state.phase.step} delivery={state.delivery} onCancel={() => meeting.leave()} />;
    case "call":
    case "rejoining":
    case "restarting":
      return <Call meeting={meeting} state={state} />;
    case "left":
      return (
        <Message
          testid="left"
          title="You have left"
          detail="The keys of this meeting are gone from this browser, and the others move on to a new epoch without you."
          action={{ label: "Join again", onClick: reload }}
        />
      );
    case "ended":
      return (
        <Message
          testid="ended"
          title="The meeting is over for you"
          detail={`${state.phase.reason} Your keys are gone from this browser and open nothing sent from now on.`}
          action={{ label: "Join again", onClick: reload }}
        />
      );
    case "failed": {
      const words = failureWords(state.phase.code, state.phase.detail);
      return (
        <Message
          testid={`failed-${state.phase.code}`}
          tone="alarm"
          title={words.title}
          detail={words.detail}
          action={words.retry ? { label: "Try again", onClick: reload } : null}
        />
      );
    }
  }
}
