import type { Readable } from 'node:stream';
import { ModelFailure } from './failures.ts';
import { EventSplitter } from './sse.ts';
import type { ModelTransport } from './transport.ts';

const answerLimitBytes = 32 * 1024 * 1024;
const path = '/v1/chat/completions';

/** Chat completions of a model server that speaks the OpenAI API. */
export class ModelClient {
  readonly #transport: ModelTransport;

  constructor(transport: ModelTransport) {
    this.#transport = transport;
  }

  /**
   * One answer as a whole, parsed.
   *
   * @throws {import('./failures.ts').ModelRefusal} the model's own 4xx
   * @throws {ModelFailure} `model_unavailable`, `model_timeout`, `model_refused`, `model_interrupted`
   */
  complete(body: object, signal: AbortSignal): Promise<unknown> {
    return this.#transport.json(
      { method: 'POST', path, body: JSON.stringify(body), signal },
      answerLimitBytes,
    );
  }

  /**
   * The events of a streamed answer, as many at a time as one read brought, without `[DONE]`. Resolves when the
   * head of the answer is there; the iteration throws `model_interrupted` when the answer ends without `[DONE]`.
   *
   * @throws as {@link complete}
   */
  async stream(body: object, signal: AbortSignal): Promise<AsyncGenerator<string[], void, void>> {
    const response = await this.#transport.send({ method: 'POST', path, body: JSON.stringify(body), signal });
    return this.#events(response.body);
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
      throw this.#transport.named(error, 'model_interrupted');
    } finally {
      body.destroy();
    }
    throw new ModelFailure('model_interrupted', `${this.#transport.service} ended its answer half-way`, {
      countsAgainstModel: true,
    });
  }
}
