// Gathers what the engine says of the group into whole views for the page.
import type { FromWorker, GroupView, MemberView } from "../messages";
import type { FailureCode } from "../state";
import type { EndCause, EngineEvent, EngineMember, EnginePhase } from "./engine";

type News = Exclude<EngineEvent, { type: "send" | "reconnect" | "wake-at" | "sending" }>;

const SUITES: Record<number, string> = {
  4: "SFrame, AES-128-GCM, 128-bit tags",
  5: "SFrame, AES-256-GCM, 128-bit tags",
};

export class GroupNews {
  #roster: { epoch: number; members: EngineMember[] } | null = null;
  #code: { epoch: number; groups: string[] } | null = null;
  #cipher = "";
  #wasIn = false;

  tell(event: News): FromWorker[] {
    switch (event.type) {
      case "roster":
        this.#roster = event.roster;
        return this.#view();
      case "code":
        this.#code = event;
        return this.#view();
      case "epoch":
        this.#cipher = SUITES[event.suite] ?? "SFrame";
        return [];
      case "chat": {
        const { leaf, name, text, own } = event.message;
        return [{ type: "chat", line: { leaf, name, text, me: own, at: Date.now() } }];
      }
      case "relay":
        return [{ type: "relay", url: event.url, token: event.token, iceServers: event.iceServers }];
      case "status":
        return statusNews(event.status.state, event.status.words);
      case "warning":
        return [{ type: "warning", text: event.text }];
      case "refused":
        return [{ type: "warning", text: `Refused, and nothing was taken over: ${event.reason}.` }];
      case "ended":
        if (this.#wasIn) return [{ type: "ended", reason: event.reason }];
        return [{ type: "failed", code: failureCode(event.cause), detail: event.reason }];
    }
  }

  /** Roster and code of the same epoch belong together; the roster alone is shown until its code is there. */
  #view(): FromWorker[] {
    const me = this.#roster?.members.find((member) => member.own);
    if (!this.#roster || !me) return [];
    this.#wasIn = true;
    const { epoch, members } = this.#roster;
    const group: GroupView = {
      epoch,
      code: this.#code?.epoch === epoch ? this.#code.groups : [],
      cipher: this.#cipher,
      me: me.leaf,
      roster: members.map(view),
    };
    return [{ type: "group", group }];
  }
}

function view(member: EngineMember): MemberView {
  const { leaf, name, org, person, device, connected } = member;
  return {
    leaf,
    name,
    org,
    person,
    device,
    connected,
    guest: member.role === "guest",
    fingerprint: member.certificate_code,
    validUntil: member.not_after,
  };
}

/** For somebody who was never in: which page says why. */
function failureCode(cause: EndCause): FailureCode {
  switch (cause) {
    case "wrong-root":
      return "wrong-root";
    case "version":
      return "protocol";
    default:
      return "refused";
  }
}

function statusNews(state: EnginePhase, words: string): FromWorker[] {
  switch (state) {
    case "identifying":
      return [{ type: "progress", step: "certificate" }];
    case "awaiting-admission":
      return [{ type: "progress", step: "admission" }];
    case "rejoining":
      return [{ type: "rejoining", why: words }];
    case "connecting":
    case "in-call":
    case "reconnecting":
    case "ended":
      return [];
  }
}
