import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import { type CallEvent, callEventSchema } from '../telemetry/call-event.ts';
import type { EventSource } from './fleet-reader.ts';

/** What is heard of the sidecars that are followed. */
export interface EventListener {
  onEvent(event: CallEvent, source: EventSource): void;
  /** So many calls were left out. */
  onSkipped(count: number, source: EventSource): void;
  /** The stream of a sidecar has begun, or cannot be followed at present. */
  onState(state: 'following' | { readonly problem: string }, source: EventSource): void;
}

const firstRetryMs = 1_000;
const longestRetryMs = 10_000;
/** A sidecar sends a heartbeat every 15 s. */
const silenceMs = 45_000;
const longestEvent = 64 * 1024;

/**
 * Follows the events of several sidecars until `signal` aborts. One that ends, or cannot be reached, is tried again; what
 * it told in between is made up for as far as it remembers it.
 */
export async function followEvents(
  sources: readonly EventSource[],
  listener: EventListener,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(sources.map((source) => follow(source, listener, signal)));
}

async function follow(source: EventSource, listener: EventListener, signal: AbortSignal): Promise<void> {
  let lastEventId: string | undefined;
  let retryMs = firstRetryMs;
  while (!signal.aborted) {
    const attempt = new AbortController();
    const end = () => attempt.abort();
    signal.addEventListener('abort', end, { once: true });
    let problem = 'the stream has ended';
    try {
      const response = await source.open(lastEventId, attempt.signal);
      retryMs = firstRetryMs;
      listener.onState('following', source);
      await readStream(response, (id, kind, data) => {
        lastEventId = id ?? lastEventId;
        tell(kind, data, listener, source);
      });
    } catch (error) {
      problem = (error as Error).message;
    } finally {
      signal.removeEventListener('abort', end);
      attempt.abort();
    }
    if (signal.aborted) return;
    listener.onState({ problem }, source);
    await delay(retryMs, undefined, { signal }).catch(() => {});
    retryMs = Math.min(longestRetryMs, 2 * retryMs);
  }
}

type TakeMessage = (id: string | undefined, kind: string, data: string) => void;

/** Resolves when the stream ends; rejects when it breaks off or falls silent. */
async function readStream(response: IncomingMessage, take: TakeMessage): Promise<void> {
  const parser = createParser({
    onEvent: ({ id, event = 'message', data }) => take(id, event, data),
    maxBufferSize: longestEvent,
  });
  response.socket.setTimeout(silenceMs, () => response.destroy(new Error('nothing came for 45 s')));
  response.setEncoding('utf8');
  for await (const text of response as AsyncIterable<string>) parser.feed(text);
}

/** What a newer sidecar may add is left out. */
function tell(kind: string, data: string, listener: EventListener, source: EventSource): void {
  const json = parseJson(data);
  if (kind === 'skipped') {
    const { count } = (json ?? {}) as { count?: unknown };
    if (typeof count === 'number' && count > 0) listener.onSkipped(count, source);
    return;
  }
  const event = kind === 'call' || kind === 'denial' ? callEventSchema.safeParse(json) : undefined;
  if (event?.success) listener.onEvent(event.data, source);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
