import { useState } from "preact/hooks";
import type { JSX } from "preact";
import { ApiError, createRoom } from "../../sdk/api";
import type { Pinned, Profile } from "../../sdk/link";
import { NameForm } from "./name-form";
import { Shell } from "./shell";

export function Start({ onRoom }: { onRoom: (pinned: Pinned, name: string) => void }): JSX.Element {
  const [profile, setProfile] = useState<Profile>("standard");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const start = (name: string): void => {
    setBusy(true);
    setProblem(null);
    createRoom(profile)
      .then((pinned) => onRoom(pinned, name))
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
          <NameForm action="Start a meeting" busy={busy} problem={problem} onSubmit={start}>
            <label class="choice">
              <span>Algorithms</span>
              <select
                data-testid="profile"
                value={profile}
                onChange={(event) => setProfile(event.currentTarget.value === "fips" ? "fips" : "standard")}
              >
                <option value="standard">Standard: X25519, Ed25519</option>
                <option value="fips">FIPS-approved only: P-256, ECDSA</option>
              </select>
            </label>
          </NameForm>
        </section>
      </div>
    </Shell>
  );
}
