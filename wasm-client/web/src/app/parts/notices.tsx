// Comings, goings and warnings: shown for a while, read out by screen readers.
import type { JSX } from "preact";
import type { Notice } from "../../sdk/state";

export function Notices({ notices }: { notices: readonly Notice[] }): JSX.Element {
  const of = (alarm: boolean): JSX.Element[] =>
    notices
      .filter((notice) => (notice.tone === "alarm") === alarm)
      .map((notice) => (
        <p key={notice.id} class={`notice notice-${notice.tone}`}>
          {notice.text}
        </p>
      ));
  return (
    <div class="notices" data-testid="notices">
      {/* Alarms are read out by `Spoken`, at once. */}
      {of(true)}
      <div class="notices-log" role="log" aria-live="polite" aria-relevant="additions">
        {of(false)}
      </div>
    </div>
  );
}
