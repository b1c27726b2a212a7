import { setTimeout as delay } from 'node:timers/promises';
import type { OtlpSignal } from './otlp.ts';

const attempts = 3;
const firstPauseMs = 500;
const longestPauseMs = 5_000;
const timeoutMs = 5_000;
/** Statuses after which the same request may succeed (OTLP specification, "Retryable Response Codes"). */
const retryable = new Set([429, 502, 503, 504]);
const longestAnswer = 64 * 1024;

/** What a collector made of an export request. */
export interface PostResult {
  /** Items that it did not take. */
  readonly rejected: number;
  readonly problem?: string;
}

/**
 * Sends one export request to an OTLP/HTTP collector; tries three times.
 *
 * @throws {Error} when it did not take the request
 */
export async function postOtlp(url: string, signal: OtlpSignal, body: string): Promise<PostResult> {
  for (let attempt = 1; ; attempt++) {
    const answer = await post(url, body);
    if (answer.ok) return partialSuccess(signal, answer.text);
    if (!answer.mayRetry || attempt === attempts)
      throw new Error(`the collector at ${url}: ${answer.problem}`);
    await delay(Math.min(answer.retryAfterMs ?? firstPauseMs * 2 ** (attempt - 1), longestPauseMs));
  }
}

type Answer =
  | { readonly ok: true; readonly text: string }
  | {
      readonly ok: false;
      readonly problem: string;
      readonly mayRetry: boolean;
      readonly retryAfterMs: number | undefined;
    };

async function post(url: string, body: string): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = (await response.text()).slice(0, longestAnswer);
    if (response.ok) return { ok: true, text };
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
    return {
      ok: false,
      problem: `status ${response.status}`,
      mayRetry: retryable.has(response.status),
      retryAfterMs: seconds >= 0 ? seconds * 1000 : undefined,
    };
  } catch (error) {
    const { message, cause } = error as Error;
    const problem = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : message;
    return { ok: false, problem: problem ?? message, mayRetry: true, retryAfterMs: undefined };
  }
}

/** A collector may take a part of a request and say so (OTLP specification, "Partial Success"). */
function partialSuccess(signal: OtlpSignal, text: string): PostResult {
  let said: { rejectedSpans?: unknown; rejectedLogRecords?: unknown; errorMessage?: unknown } | undefined;
  try {
    said = (JSON.parse(text) as { partialSuccess?: typeof said } | null)?.partialSuccess;
  } catch {
    return { rejected: 0 };
  }
  const rejected = Number((signal === 'traces' ? said?.rejectedSpans : said?.rejectedLogRecords) ?? 0);
  if (!(rejected > 0)) return { rejected: 0 };
  return { rejected, problem: `the collector rejected ${rejected}: ${String(said?.errorMessage ?? '')}` };
}
