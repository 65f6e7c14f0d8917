// Comings, goings and warnings: shown for a while, read out by screen readers.
import type { JSX } from "preact";
import type { Notice } from "../../sdk/state";

export function Notices({ notices }: { notices: readonly Notice[] }): JSX.Element {
  return (
    <div class="notices" role="log" aria-live="polite" aria-relevant="additions" data-testid="notices">
      {notices.map((notice) => (
        <p key={notice.id} class={`notice notice-${notice.tone}`}>
          {notice.text}
        </p>
      ))}
    </div>
  );
}
