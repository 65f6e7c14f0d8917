// The frame around every page but the call.
import type { ComponentChildren, JSX } from "preact";
import { Mark } from "../parts/icons";

export function Shell({ children, testid }: { children: ComponentChildren; testid: string }): JSX.Element {
  return (
    <div class="shell" data-page={testid}>
      <header class="shell-head">
        <a class="brand" href="/">
          <Mark />
          <span>Conclave</span>
        </a>
      </header>
      <main class="shell-main" data-testid={testid}>
        {children}
      </main>
      <footer class="shell-foot">
        <p>
          Sound and picture are encrypted in this browser, for the people in the meeting alone. The servers carry them
          and cannot open them.
        </p>
      </footer>
    </div>
  );
}
