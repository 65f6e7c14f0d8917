import { useState } from "preact/hooks";
import type { JSX } from "preact";
import { ApiError, createRoom } from "../../sdk/api";
import { NameForm } from "./name-form";
import { Shell } from "./shell";

export function Start({ onRoom }: { onRoom: (room: string, rootHash: string, name: string) => void }): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const start = (name: string): void => {
    setBusy(true);
    setProblem(null);
    createRoom()
      .then(({ room, rootHash }) => onRoom(room, rootHash, name))
      .catch((fault: unknown) => {
        setBusy(false);
        setProblem(fault instanceof ApiError ? fault.message : "The meeting could not be made. Try again.");
      });
  };
  return (
    <Shell testid="start">
      <div class="start">
        <div class="start-words">
          <h1>Meet behind a closed door.</h1>
          <p class="lead">
            Start a meeting, send its link, and see in plain words who can hear you. Not the servers, and nobody who is
            not on the list.
          </p>
        </div>
        <section class="card" aria-labelledby="start-title">
          <h2 id="start-title">Start a meeting</h2>
          <NameForm action="Start a meeting" busy={busy} problem={problem} onSubmit={start} />
        </section>
      </div>
    </Shell>
  );
}
