// The one field before a meeting: the name that goes into the guest certificate.
import { useState } from "preact/hooks";
import type { ComponentChildren, JSX } from "preact";
import { recall, remember } from "../../sdk/remembered";

const LONGEST = 64;
const REMEMBERED = "conclave.name";

export interface NameFormProps {
  action: string;
  busy: boolean;
  problem: string | null;
  children?: ComponentChildren;
  onSubmit: (name: string) => void;
}

export function NameForm({ action, busy, problem, children, onSubmit }: NameFormProps): JSX.Element {
  const [name, setName] = useState(() => recall(REMEMBERED) ?? "");
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const trimmed = name.trim();
    if (trimmed === "" || busy) return;
    remember(REMEMBERED, trimmed);
    onSubmit(trimmed);
  };
  return (
    <form class="name-form" onSubmit={submit}>
      <label for="name">Your name</label>
      <input
        id="name"
        data-testid="name"
        name="name"
        autoComplete="name"
        autoFocus
        required
        maxLength={LONGEST}
        placeholder="How the others know you"
        aria-describedby="name-hint"
        value={name}
        onInput={(event) => setName(event.currentTarget.value)}
      />
      <p class="hint" id="name-hint">
        It enters a certificate made for this meeting, marked as a guest's: you alone vouch for it.
      </p>
      {children}
      {problem !== null && (
        <p class="problem" role="alert" data-testid="problem">
          {problem}
        </p>
      )}
      <button
        type="submit"
        class="button button-strong button-large"
        disabled={busy || name.trim() === ""}
        data-testid="go"
      >
        {busy ? "One moment …" : action}
      </button>
    </form>
  );
}
