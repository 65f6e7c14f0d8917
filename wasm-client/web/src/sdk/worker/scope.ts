// The worker's side of encoded transforms, which TypeScript's DOM library does not describe.
import { Clock } from "./clock";
import type { FromWorker, ToWorker, TransformOptions } from "../messages";

export interface EncodedFrame {
  data: ArrayBuffer;
  /** Absent on audio; on a Firefox receiver not always right, so only a sealer reads it. */
  readonly type?: "key" | "delta" | "empty";
  /** Of RTP. */
  readonly timestamp: number;
  getMetadata(): { synchronizationSource?: number; rtpTimestamp?: number; mimeType?: string };
}

export interface Transformer {
  readonly readable: ReadableStream<EncodedFrame>;
  readonly writable: WritableStream<EncodedFrame>;
  readonly options: TransformOptions;
  /** Firefox and Safari; Chromium has none. */
  generateKeyFrame?(rid?: string): Promise<unknown>;
}

interface TransformEvent extends Event {
  readonly transformer: Transformer;
}

export interface WorkerScope {
  /** As the page named it, uniquely. */
  readonly name: string;
  readonly navigator: { readonly locks?: LockManager };
  addEventListener(type: "unhandledrejection", listener: (event: PromiseRejectionEvent) => void): void;
  onrtctransform: ((event: TransformEvent) => void) | null;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  close(): void;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
  setInterval(handler: () => void, milliseconds: number): number;
  setTimeout(handler: () => void, milliseconds: number): number;
  clearTimeout(timer: number | undefined): void;
}

export const scope = self as unknown as WorkerScope;

const clock = new Clock(() => performance.now(), () => Date.now());

/** Milliseconds since 1970: see {@link Clock}. */
export function now(): number {
  return clock.now();
}

/** Lets everything else that waits in the worker go first. */
export function pause(): Promise<void> {
  return new Promise((resolve) => void scope.setTimeout(resolve, 0));
}
