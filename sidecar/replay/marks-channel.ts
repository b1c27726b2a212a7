import { BroadcastChannel } from 'node:worker_threads';
import type { MarkCover } from './marks.ts';
import { StateError } from './state-error.ts';

/** A worker thread asks for cover; the thread that has the files answers. */
type Message =
  | { readonly ask: string; readonly kid: string; readonly created: number }
  | { readonly answer: string; readonly error?: string };

/** Answers the worker threads of this process. Returns what ends it. */
export function serveMarks(name: string, marks: MarkCover): () => void {
  const channel = new BroadcastChannel(name);
  channel.unref();
  channel.onmessage = (event: unknown) => {
    const message = (event as { data: Message }).data;
    if (!('ask' in message)) return;
    const answer = (error?: string) =>
      channel.postMessage({ answer: message.ask, ...(error === undefined ? undefined : { error }) });
    marks.cover(message.kid, message.created).then(
      () => answer(),
      (error: Error) => answer(error.message),
    );
  };
  return () => channel.close();
}

/** The marks as a worker thread sees them. */
export class RemoteMarks implements MarkCover {
  readonly #channel: BroadcastChannel;
  readonly #waiting = new Map<string, { resolve: () => void; reject: (error: Error) => void }>();

  constructor(name: string) {
    this.#channel = new BroadcastChannel(name);
    this.#channel.unref();
    this.#channel.onmessage = (event: unknown) => {
      const message = (event as { data: Message }).data;
      if (!('answer' in message)) return;
      const waiting = this.#waiting.get(message.answer);
      this.#waiting.delete(message.answer);
      if (this.#waiting.size === 0) this.#channel.unref();
      if (message.error === undefined) waiting?.resolve();
      else waiting?.reject(new StateError(message.error));
    };
  }

  cover(kid: string, created: number): Promise<void> {
    const id = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#channel.ref();
      this.#channel.postMessage({ ask: id, kid, created } satisfies Message);
    });
  }

  close(): void {
    this.#channel.close();
  }
}
