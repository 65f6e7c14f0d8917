// The meeting itself: tiles, one's devices, and the two panels.
import { useEffect, useRef, useState } from "preact/hooks";
import type { JSX } from "preact";
import type { Meeting } from "../../sdk/meeting";
import type { MeetingState } from "../../sdk/state";
import { Chat } from "../parts/chat";
import { Controls, type Panel } from "../parts/controls";
import { Grid } from "../parts/grid";
import { LinkIcon, Mark } from "../parts/icons";
import { Notices } from "../parts/notices";
import { SidePanel } from "../parts/panel";
import { Security } from "../parts/security";
import { Spoken } from "../parts/spoken";
import { connectionWords, headline } from "../words";

export function Call({ meeting, state }: { meeting: Meeting; state: MeetingState }): JSX.Element {
  const [panel, setPanel] = useState<Panel | null>(() =>
    matchMedia("(min-width: 60rem)").matches ? "security" : null,
  );
  // By the lines' ids: of a long chat only the latest lines are kept, so their number says nothing.
  const [read, setRead] = useState(0);
  const latest = state.chat.at(-1)?.id ?? 0;
  useEffect(() => {
    if (panel === "chat") setRead(latest);
  }, [panel, latest]);
  const [byHand, setByHand] = useState(false);
  const toggle = (next: Panel): void => {
    setByHand(true);
    setPanel(panel === next ? null : next);
  };
  // Whoever used the keyboard goes on where the panel was opened.
  const close = (open: Panel): void => {
    setPanel(null);
    document.querySelector<HTMLElement>(`[data-testid="panel-${open}"]`)?.focus();
  };
  const words = headline(state);
  const alone = state.phase.name === "call" && state.people.length === 1;
  return (
    <div
      class={`call${panel ? " call-with-panel" : ""}`}
      data-testid="call"
      data-page="call"
      data-phase={state.phase.name}
      data-epoch={state.epoch}
      data-people={state.people.length}
      data-delivery={state.delivery}
      data-relay={state.relay}
    >
      <Spoken state={state} />
      <header class="call-head">
        <span class="brand brand-small">
          <Mark />
          <span>Conclave</span>
        </span>
        <button
          type="button"
          class={`protection-pill protection-${words.tone}`}
          data-testid="headline"
          aria-expanded={panel === "security"}
          aria-controls="panel"
          title={words.long}
          onClick={() => toggle("security")}
        >
          <span>{words.short}</span>
          {state.epoch !== null && <span class="pill-epoch">epoch {state.epoch}</span>}
        </button>
        <CopyLink link={state.link} />
      </header>
      <main class="stage" aria-label="Meeting">
        <Grid meeting={meeting} state={state} />
        {alone && <Invite link={state.link} />}
        <Connection state={state} />
        <Notices notices={state.notices} />
      </main>
      {panel && (
        <SidePanel title={panel === "chat" ? "Chat" : "People and security"} takesFocus={byHand} onClose={() => close(panel)}>
          {panel === "chat" ? (
            <Chat lines={state.chat} ready={state.phase.name === "call"} onSend={(text) => meeting.chat(text)} />
          ) : (
            <Security state={state} devices={meeting.options.devices} onCompared={(shown) => meeting.markCompared(shown)} />
          )}
        </SidePanel>
      )}
      <Controls
        local={state.local}
        problems={state.problems}
        panel={panel}
        unread={state.chat.filter((line) => line.id > read).length}
        onMicrophone={(on) => meeting.setMicrophone(on)}
        onCamera={(on) => meeting.setCamera(on)}
        onScreen={(on) => meeting.setScreen(on)}
        onPanel={toggle}
        onLeave={() => meeting.leave()}
      />
    </div>
  );
}

function CopyLink({ link }: { link: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const timer = useRef<number>(undefined);
  const copy = (): void => {
    navigator.clipboard.writeText(link).then(
      () => {
        setCopied(true);
        window.clearTimeout(timer.current);
        timer.current = window.setTimeout(() => setCopied(false), 2500);
      },
      () => window.prompt("Copy this link", link),
    );
  };
  return (
    <button type="button" class="button button-link" data-testid="copy-link" data-link={link} onClick={copy}>
      <LinkIcon />
      <span aria-live="polite">{copied ? "Link copied" : "Copy link"}</span>
    </button>
  );
}

function Invite({ link }: { link: string }): JSX.Element {
  return (
    <section class="invite" aria-label="Invite somebody">
      <p>
        Send this link to whom you want here. It also pins who may issue certificates for this meeting, so send all of
        it.
      </p>
      <code class="invite-link" data-testid="room-link">
        {link}
      </code>
    </section>
  );
}

function Connection({ state }: { state: MeetingState }): JSX.Element | null {
  const text = connectionWords(state);
  if (text === null) return null;
  return (
    <p class="connection" data-testid="connection">
      {text}
    </p>
  );
}
