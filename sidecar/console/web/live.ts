import { useEffect, useState } from 'preact/hooks';
import { EventLines } from '../../../web/event-lines.ts';

/** A document as far as it is known here. */
export type Live<Document> =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live'; readonly data: Document }
  /** What was known before stays, where something was. */
  | { readonly kind: 'lost'; readonly why: string; readonly data?: Document }
  /** The token is not, or no longer, the right one. */
  | { readonly kind: 'refused' };

const retryMs = 2_000;

/** Follows a document for as long as the component is there and the tab is seen. */
export function useLive<Document>(path: string, token: string): Live<Document> {
  const [state, setState] = useState<Live<Document>>({ kind: 'connecting' });
  useEffect(() => {
    setState({ kind: 'connecting' });
    const follower = new Follower<Document>(path, token, setState);
    return () => follower.end();
  }, [path, token]);
  return state;
}

type Update<Document> = (change: (before: Live<Document>) => Live<Document>) => void;

class Follower<Document> {
  readonly #path: string;
  readonly #token: string;
  readonly #update: Update<Document>;
  #stream: AbortController | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  readonly #onVisibility = () => (document.hidden ? this.#pause() : this.#start());

  constructor(path: string, token: string, update: Update<Document>) {
    this.#path = path;
    this.#token = token;
    this.#update = update;
    document.addEventListener('visibilitychange', this.#onVisibility);
    this.#start();
  }

  end(): void {
    document.removeEventListener('visibilitychange', this.#onVisibility);
    this.#pause();
  }

  #pause(): void {
    clearTimeout(this.#retry);
    this.#stream?.abort();
    this.#stream = undefined;
  }

  #start(): void {
    this.#pause();
    const stream = new AbortController();
    this.#stream = stream;
    this.#read(stream.signal).then(
      () => this.#lost(stream, 'the console has ended'),
      (error: Error) => this.#lost(stream, error.message),
    );
  }

  async #read(signal: AbortSignal): Promise<void> {
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${this.#token}` };
    const response = await fetch(this.#path, { headers, signal, cache: 'no-store' });
    if (response.status === 401) {
      this.#update(() => ({ kind: 'refused' }));
      this.#stream = undefined;
      return;
    }
    if (!response.ok || response.body === null) throw new Error(await detailOf(response));
    const lines = new EventLines();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const newest = lines.add(piece.value).at(-1);
      if (newest === undefined) continue;
      const data = JSON.parse(newest) as Document;
      this.#update(() => ({ kind: 'live', data }));
    }
  }

  #lost(stream: AbortController, why: string): void {
    if (this.#stream !== stream) return;
    this.#update((before) =>
      'data' in before && before.data !== undefined
        ? { kind: 'lost', why, data: before.data }
        : { kind: 'lost', why },
    );
    this.#retry = setTimeout(() => this.#start(), retryMs);
  }
}

/** Asks once. @throws {Error} what the server said */
export async function ask<Document>(path: string, token: string, signal?: AbortSignal): Promise<Document> {
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(path, { headers, cache: 'no-store', ...(signal !== undefined && { signal }) });
  if (!response.ok) throw new Error(await detailOf(response));
  return (await response.json()) as Document;
}

async function detailOf(response: Response): Promise<string> {
  const body = (await response.json().catch(() => ({}))) as { detail?: string };
  return body.detail ?? `HTTP ${response.status}`;
}
