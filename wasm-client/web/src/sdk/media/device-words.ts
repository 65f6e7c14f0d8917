// What is said of a camera or microphone that does not work, and what can be done.
import type { DeviceKind, DeviceProblem } from "./devices";

export function deviceWords(kinds: readonly DeviceKind[], problem: DeviceProblem): string {
  const what = kinds.join(" or ");
  switch (problem) {
    case "denied":
      return `The browser does not let this page use your ${what}. Allow it in the address bar, or go on without.`;
    case "missing":
      return `No ${what} was found. You can go on without.`;
    case "busy":
      return `Your ${what} is in use by another program. Close that and switch it on again, or go on without.`;
    case "failed":
      return `Your ${what} could not be started. You can go on without.`;
    case "gone":
      return `Your ${what} stopped: it was unplugged, or taken away from this page. Switch it on again to use another one.`;
  }
}
