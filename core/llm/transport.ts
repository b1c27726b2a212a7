import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, errors } from 'undici';
import type { SocketAddress } from '../../config/address.ts';
import type { CoreTimeouts } from '../config/core-config.ts';
import { CoreError } from '../terms/errors.ts';
import { ModelFailure, ModelRefusal } from './failures.ts';
import { parseRefusal } from './refusal-body.ts';

const errorBodyLimitBytes = 64 * 1024;

/** One call to the model server. */
export interface ModelCall {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string | Buffer;
  readonly signal: AbortSignal;
  /** Beside those that every call has. */
  readonly headers?: Readonly<Record<string, string>>;
  /** To the head of the answer; default `timeouts.response`. */
  readonly responseMs?: number;
}

/** HTTP to a model server, reached only through the outbound listener on localhost. */
export class ModelTransport {
  readonly service: string;
  readonly #agent: Agent;
  readonly #origin: string;

  constructor(outbound: SocketAddress, service: string, timeouts: CoreTimeouts) {
    const host = outbound.host.includes(':') ? `[${outbound.host}]` : outbound.host;
    this.#origin = `http://${host}:${outbound.port}`;
    this.service = service;
    this.#agent = new Agent({
      connect: { timeout: timeouts.connect },
      headersTimeout: timeouts.response,
      bodyTimeout: timeouts.idle,
    });
  }

  /**
   * Resolves with the head of an answer of status 200; its body is to be read or destroyed.
   *
   * @throws {ModelRefusal} the model's own 4xx
   * @throws {ModelFailure} `model_unavailable`, `model_timeout`, `model_refused`
   */
  async send(call: ModelCall): Promise<Dispatcher.ResponseData> {
    const { signal } = call;
    const options: Dispatcher.RequestOptions = {
      origin: this.#origin,
      path: call.path,
      method: call.method,
      headers: {
        host: this.service,
        accept: 'application/json, text/event-stream',
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...call.headers,
      },
      body: call.body ?? null,
      signal,
      ...(call.responseMs === undefined ? {} : { headersTimeout: call.responseMs }),
    };
    let response: Dispatcher.ResponseData;
    try {
      response = await this.#agent.request(options).catch((error) => {
        // A kept connection that the sidecar closed just now: no byte of an answer has come, and asking a model
        // twice changes nothing in the world.
        if (isStaleConnection(error) && !signal.aborted) return this.#agent.request(options);
        throw error;
      });
    } catch (error) {
      throw this.named(error, 'model_unavailable');
    }
    if (response.statusCode === 200) return response;
    throw await this.#refusal(response);
  }

  /**
   * Sends a call and parses its answer.
   *
   * @throws as {@link send}, and `model_interrupted` when the answer is cut off, too long, or no JSON
   */
  async json(call: ModelCall, limitBytes: number): Promise<unknown> {
    const response = await this.send(call);
    try {
      return JSON.parse((await readLimited(response.body, limitBytes)).toString());
    } catch (error) {
      if (error instanceof SyntaxError) {
        throw new ModelFailure(
          'model_interrupted',
          `${this.service} answered with something that is not JSON`,
          {
            cause: error,
          },
        );
      }
      throw this.named(error, 'model_interrupted');
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** @param broken what a connection that breaks means: before the head of an answer, or in it */
  named(error: unknown, broken: 'model_unavailable' | 'model_interrupted'): Error {
    if (error instanceof CoreError) return error;
    const { name, code, message } = error as NodeJS.ErrnoException;
    if (name === 'AbortError') return error as Error;
    if (
      error instanceof errors.HeadersTimeoutError ||
      error instanceof errors.BodyTimeoutError ||
      error instanceof errors.ConnectTimeoutError
    ) {
      return new ModelFailure('model_timeout', `${this.service} did not answer within the configured time`, {
        cause: error,
        countsAgainstModel: true,
      });
    }
    if (code === 'ECONNREFUSED') {
      return new ModelFailure(
        'model_unavailable',
        `nothing listens at ${this.#origin}, the outbound listener of core.yaml: start the sidecar`,
        { cause: error },
      );
    }
    return new ModelFailure(broken, `the call to ${this.service} failed: ${message}`, {
      cause: error,
      retryable: broken === 'model_unavailable',
      countsAgainstModel: true,
    });
  }

  async #refusal(response: Dispatcher.ResponseData): Promise<Error> {
    let text = '';
    try {
      text = (await readLimited(response.body, errorBodyLimitBytes)).toString();
    } catch {
      // The status alone has to do.
    }
    const status = response.statusCode;
    const retryAfterMs = parseRetryAfter(response.headers['retry-after']);
    const retry = { retryable: status === 429 || status >= 500, retryAfterMs };
    const told = parseRefusal(text, String(response.headers['content-type'] ?? ''));
    const message = told?.message ?? `status ${status}`;
    if (told?.kind === 'problem') {
      const code =
        status === 504
          ? 'model_timeout'
          : status === 502 || status === 503
            ? 'model_unavailable'
            : 'model_refused';
      return new ModelFailure(code, `the call to ${this.service} was refused on its way: ${message}`, retry);
    }
    if (status >= 400 && status < 500 && status !== 401 && status !== 403 && told?.kind === 'openai') {
      return new ModelRefusal(status, told.body, retryAfterMs);
    }
    return new ModelFailure(
      status === 503 ? 'model_unavailable' : status === 504 ? 'model_timeout' : 'model_refused',
      `${this.service} answered with an error: ${message}`,
      retry,
    );
  }
}

/** Seconds, or a date (RFC 9110 §10.2.3), in milliseconds from now. */
function parseRetryAfter(value: string | string[] | undefined): number | undefined {
  if (typeof value !== 'string') return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function isStaleConnection(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'UND_ERR_SOCKET' || code === 'ECONNRESET' || code === 'EPIPE';
}

async function readLimited(body: Readable, limitBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of body) {
    parts.push(part as Buffer);
    length += (part as Buffer).length;
    if (length > limitBytes) {
      body.destroy();
      throw new ModelFailure('model_interrupted', `the model's answer is longer than ${limitBytes} bytes`);
    }
  }
  return Buffer.concat(parts);
}
