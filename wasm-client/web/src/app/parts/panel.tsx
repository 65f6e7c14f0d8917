// What stands beside the tiles: takes the focus when it is opened by hand, and closes on Escape.
import { useEffect, useRef } from "preact/hooks";
import type { ComponentChildren, JSX } from "preact";
import { Close } from "./icons";

export interface SidePanelProps {
  title: string;
  /** False for a panel that was open from the start: nobody asked for it, so it takes no focus. */
  takesFocus: boolean;
  onClose: () => void;
  children: ComponentChildren;
}

export function SidePanel({ title, takesFocus, onClose, children }: SidePanelProps): JSX.Element {
  const panel = useRef<HTMLElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (takesFocus) (panel.current?.querySelector<HTMLElement>("[data-first-focus]") ?? heading.current)?.focus();
  }, [title, takesFocus]);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Escape") onClose();
  };
  return (
    <aside class="panel" id="panel" aria-label={title} ref={panel} onKeyDown={onKeyDown}>
      <header class="panel-head">
        <h2 ref={heading} tabIndex={-1}>
          {title}
        </h2>
        <button
          type="button"
          class="control control-bare"
          data-testid="close-panel"
          aria-label="Close this panel"
          onClick={onClose}
        >
          <Close />
        </button>
      </header>
      {children}
    </aside>
  );
}
