// The plain HTTP calls before a meeting (e2ee-core/src/wire/http.rs). Their answers open doors, they vouch for nothing.
import { fromBase64Url, rootHashOf, type Pinned, type Profile } from "./link";

/** The server answered with a problem, or did not answer (`unreachable`). */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** Makes a room; the hash of the root that its creator pins comes with it. */
export async function createRoom(profile: Profile): Promise<Pinned> {
  const answer = await post("/api/rooms", { profile });
  const room = field(answer, "room");
  return { room, rootHash: await rootHashOf(fromBase64Url(field(answer, "trust_root"))), profile };
}

/** Signs in as a guest; the answer is the token for the delivery connection. */
export async function signIn(room: string, name: string): Promise<string> {
  return field(await post(`/api/rooms/${encodeURIComponent(room)}/sessions`, { name }), "session");
}

const TIMEOUT_MS = 10_000;

async function post(path: string, body: object): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: "POST",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      credentials: "omit",
      referrerPolicy: "no-referrer",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new ApiError("unreachable", "The server does not answer.");
  }
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer;
  throw new ApiError(
    optionalField(answer, "code") ?? `http-${response.status}`,
    optionalField(answer, "message") ?? `The server answered ${response.status}.`,
  );
}

function optionalField(answer: unknown, name: string): string | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const value: unknown = Reflect.get(answer, name);
  return typeof value === "string" ? value : undefined;
}

function field(answer: unknown, name: string): string {
  const value = optionalField(answer, name);
  if (value === undefined) throw new ApiError("malformed", `The server's answer has no "${name}".`);
  return value;
}
