import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, errors } from 'undici';
import type { SocketAddress } from '../../config/address.ts';
import type { CoreTimeouts } from '../config/core-config.ts';
import { CoreError, type OpenAiError } from '../errors.ts';
import { EventSplitter } from './sse.ts';

const errorBodyLimitBytes = 64 * 1024;
const answerLimitBytes = 32 * 1024 * 1024;

/** The model's own refusal (400 to 499), passed on as it is. */
export class ModelRefusal extends Error {
  readonly code = 'model-refusal';
  readonly status: number;
  readonly body: OpenAiError;
  constructor(status: number, body: OpenAiError) {
    super(body.error.message);
    this.name = 'ModelRefusal';
    this.status = status;
    this.body = body;
  }
}

/** A model server that speaks the OpenAI API, reached only through the outbound listener on localhost. */
export class ModelClient {
  readonly #agent: Agent;
  readonly #origin: string;
  readonly #service: string;

  constructor(outbound: SocketAddress, service: string, timeouts: CoreTimeouts) {
    const host = outbound.host.includes(':') ? `[${outbound.host}]` : outbound.host;
    this.#origin = `http://${host}:${outbound.port}`;
    this.#service = service;
    this.#agent = new Agent({
      connect: { timeout: timeouts.connect },
      headersTimeout: timeouts.response,
      bodyTimeout: timeouts.idle,
    });
  }

  /**
   * One answer as a whole, parsed.
   *
   * @throws {ModelRefusal} the model's own 4xx
   * @throws {CoreError} `model_unavailable`, `model_timeout`, `model_refused`, `model_interrupted`
   */
  async complete(body: object, signal: AbortSignal): Promise<unknown> {
    const response = await this.#post(body, signal);
    try {
      return JSON.parse((await readLimited(response.body, answerLimitBytes)).toString());
    } catch (error) {
      if (error instanceof SyntaxError) {
        throw new CoreError(
          'model_interrupted',
          `${this.#service} answered with something that is not JSON`,
          {
            cause: error,
          },
        );
      }
      throw this.#named(error, 'model_interrupted');
    }
  }

  /**
   * The events of a streamed answer, as many at a time as one read brought, without `[DONE]`. Resolves when the
   * head of the answer is there; the iteration throws `model_interrupted` when the answer ends without `[DONE]`.
   *
   * @throws as {@link complete}
   */
  async stream(body: object, signal: AbortSignal): Promise<AsyncGenerator<string[], void, void>> {
    const response = await this.#post(body, signal);
    return this.#events(response.body);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async *#events(body: Readable): AsyncGenerator<string[], void, void> {
    const splitter = new EventSplitter();
    try {
      for await (const bytes of body) {
        const events = splitter.push(bytes as Uint8Array);
        const done = events.indexOf('[DONE]');
        if (done !== -1) {
          if (done > 0) yield events.slice(0, done);
          return;
        }
        if (events.length > 0) yield events;
      }
    } catch (error) {
      throw this.#named(error, 'model_interrupted');
    } finally {
      body.destroy();
    }
    throw new CoreError('model_interrupted', `${this.#service} ended its answer half-way`);
  }

  async #post(body: object, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const options: Dispatcher.RequestOptions = {
      origin: this.#origin,
      path: '/v1/chat/completions',
      method: 'POST',
      headers: {
        host: this.#service,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify(body),
      signal,
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
      throw this.#named(error, 'model_unavailable');
    }
    if (response.statusCode === 200) return response;
    throw await this.#refusal(response);
  }

  async #refusal(response: Dispatcher.ResponseData): Promise<Error> {
    let text = '';
    try {
      text = (await readLimited(response.body, errorBodyLimitBytes)).toString();
    } catch {
      // The status alone has to do.
    }
    const status = response.statusCode;
    const told = parseRefusal(text, String(response.headers['content-type'] ?? ''));
    const message = told?.message ?? `status ${status}`;
    if (told?.kind === 'problem') {
      const code =
        status === 504
          ? 'model_timeout'
          : status === 502 || status === 503
            ? 'model_unavailable'
            : 'model_refused';
      return new CoreError(code, `the call to ${this.#service} was refused on its way: ${message}`);
    }
    if (status >= 400 && status < 500 && status !== 401 && status !== 403 && told?.kind === 'openai') {
      return new ModelRefusal(status, told.body);
    }
    return new CoreError(
      status === 503 ? 'model_unavailable' : status === 504 ? 'model_timeout' : 'model_refused',
      `${this.#service} answered with an error: ${message}`,
    );
  }

  /** @param broken what a connection that breaks means: before the head of an answer, or in it */
  #named(error: unknown, broken: 'model_unavailable' | 'model_interrupted'): Error {
    if (error instanceof CoreError) return error;
    const { name, code, message } = error as NodeJS.ErrnoException;
    if (name === 'AbortError') return error as Error;
    if (
      error instanceof errors.HeadersTimeoutError ||
      error instanceof errors.BodyTimeoutError ||
      error instanceof errors.ConnectTimeoutError
    ) {
      return new CoreError('model_timeout', `${this.#service} did not answer within the configured time`, {
        cause: error,
      });
    }
    if (code === 'ECONNREFUSED') {
      return new CoreError(
        'model_unavailable',
        `nothing listens at ${this.#origin}, the outbound listener of core.yaml: start the sidecar`,
        { cause: error },
      );
    }
    return new CoreError(broken, `the call to ${this.#service} failed: ${message}`, { cause: error });
  }
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
      throw new CoreError('model_interrupted', `the model's answer is longer than ${limitBytes} bytes`);
    }
  }
  return Buffer.concat(parts);
}

type Refusal = { kind: 'problem'; message: string } | { kind: 'openai'; message: string; body: OpenAiError };

/** Reads an RFC 9457 problem (a sidecar's) or an OpenAI error (the model's). */
function parseRefusal(text: string, contentType: string): Refusal | undefined {
  let data: Record<string, unknown>;
  try {
    data = JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  if (contentType.startsWith('application/problem+json')) {
    const { reason, title, detail } = data;
    return {
      kind: 'problem',
      message: [reason, detail ?? title].filter((part) => part !== undefined).join(': '),
    };
  }
  const error =
    typeof data?.error === 'string' ? { message: data.error } : (data?.error as Record<string, unknown>);
  if (typeof error?.message !== 'string') return undefined;
  return {
    kind: 'openai',
    message: error.message,
    body: {
      error: {
        message: error.message,
        type: typeof error.type === 'string' ? error.type : 'invalid_request_error',
        param: typeof error.param === 'string' ? error.param : null,
        code: typeof error.code === 'string' ? error.code : null,
      },
    },
  };
}
