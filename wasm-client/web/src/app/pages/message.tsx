// Pages that say one thing and offer the way on.
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Shell } from "./shell";

export interface MessageProps {
  testid: string;
  title: string;
  detail: string;
  tone?: "calm" | "alarm";
  action?: { label: string; onClick: () => void } | null;
}

export function Message({ testid, title, detail, tone = "calm", action = null }: MessageProps): JSX.Element {
  // Another page took the place of what had the focus, and a screen reader begins here.
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [testid]);
  return (
    <Shell testid={testid}>
      <section class={`card message message-${tone}`} role={tone === "alarm" ? "alert" : "status"}>
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        <p>{detail}</p>
        <p class="message-actions">
          {action && (
            <button type="button" class="button button-strong" data-testid="again" onClick={action.onClick}>
              {action.label}
            </button>
          )}
          <a class="button" href="/">
            Start a new meeting
          </a>
        </p>
      </section>
    </Shell>
  );
}

export function IncompleteLink(): JSX.Element {
  return (
    <Message
      testid="incomplete-link"
      tone="alarm"
      title="This link is incomplete"
      detail="The part after the # sign is missing or damaged. It pins who may issue certificates for this meeting; without it nobody could tell who lets people in, so you were not connected. Ask for the whole link and open it again."
    />
  );
}
