// Chat: MLS private messages, read and written only by members of the group.
import { useEffect, useRef, useState } from "preact/hooks";
import type { JSX } from "preact";
import type { ChatLine } from "../../sdk/state";
import { unsentWords } from "../words";

/** An MLS message holds 16 KiB; this leaves room for four bytes a character. */
const LONGEST = 3000;

export function Chat({
  lines,
  ready,
  onSend,
}: {
  lines: readonly ChatLine[];
  ready: boolean;
  onSend: (text: string) => void;
}): JSX.Element {
  const [text, setText] = useState("");
  const end = useRef<HTMLLIElement>(null);
  useEffect(() => end.current?.scrollIntoView({ block: "end" }), [lines.at(-1)?.id]);
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    const trimmed = text.trim();
    if (trimmed === "" || !ready) return;
    onSend(trimmed);
    setText("");
  };
  return (
    <div class="panel-body chat" data-testid="chat">
      <ul class="lines" role="log" aria-live="polite" aria-label="Messages">
        {lines.length === 0 && (
          <li class="hint">Encrypted like the call. Who joins later does not see what was written before.</li>
        )}
        {lines.map((line) => (
          <li key={line.id} class={`line${line.me ? " line-me" : ""}`} data-testid="chat-line" data-sent={line.sent}>
            <span class="line-head">
              <strong>{line.me ? "You" : line.name}</strong>{" "}
              <time dateTime={new Date(line.at).toISOString()}>{clock(line.at)}</time>
            </span>
            <span class="line-text">{line.text}</span>
            {line.sent !== "yes" && <span class="line-unsent">{unsentWords(line.sent)}</span>}
          </li>
        ))}
        <li ref={end} aria-hidden="true" class="lines-end" />
      </ul>
      <form class="write" onSubmit={send}>
        <label class="visually-hidden" for="chat-text">
          Message to everybody in the group
        </label>
        <input
          id="chat-text"
          data-testid="chat-text"
          data-first-focus
          autoComplete="off"
          maxLength={LONGEST}
          placeholder="Write to everybody"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit" class="button button-strong" disabled={!ready || text.trim() === ""}>
          Send
        </button>
      </form>
    </div>
  );
}

function clock(at: number): string {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
