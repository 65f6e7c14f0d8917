import type { JSX } from "preact";
import { CONNECT_STEPS, type ConnectStep, type Link } from "../../sdk/state";
import { stepWords } from "../words";
import { Shell } from "./shell";

export function Connecting({
  step,
  delivery,
  onCancel,
}: {
  step: ConnectStep;
  delivery: Link;
  onCancel: () => void;
}): JSX.Element {
  const now = CONNECT_STEPS.indexOf(step);
  return (
    <Shell testid="connecting">
      <section class="card message" aria-live="polite">
        <h1>Getting you in</h1>
        <ol class="steps">
          {CONNECT_STEPS.map((name, index) => (
            <li
              key={name}
              class={index < now ? "step-done" : index === now ? "step-now" : "step-next"}
              aria-current={index === now ? "step" : undefined}
            >
              {stepWords(name)}
            </li>
          ))}
        </ol>
        {delivery === "lost" && (
          <p class="problem" role="status">
            The server does not answer. Trying again.
          </p>
        )}
        <p class="message-actions">
          <button type="button" class="button" onClick={onCancel}>
            Cancel
          </button>
        </p>
      </section>
    </Shell>
  );
}
