// For screen readers: two regions that are always there, for browsers tell only of what changes in one that was there before (CLNT-23).
import type { JSX } from "preact";
import type { MeetingState } from "../../sdk/state";
import { spokenWords } from "../words";

export function Spoken({ state }: { state: MeetingState }): JSX.Element {
  const { alarm, status } = spokenWords(state);
  return (
    <>
      <p class="visually-hidden" role="alert" aria-live="assertive" data-testid="spoken-alarm">
        {alarm}
      </p>
      <p class="visually-hidden" role="status" aria-live="polite" data-testid="spoken-status">
        {status}
      </p>
    </>
  );
}
