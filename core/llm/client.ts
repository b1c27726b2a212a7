import { ModelStream } from './model-stream.ts';
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
   * @throws {import('./failures.ts').ModelFailure} `model_unavailable`, `model_timeout`, `model_refused`, `model_interrupted`
   */
  complete(body: object, signal: AbortSignal): Promise<unknown> {
    return this.#transport.json(
      { method: 'POST', path, body: JSON.stringify(body), signal },
      answerLimitBytes,
    );
  }

  /**
   * A streamed answer. Resolves when its head is there.
   *
   * @throws as {@link complete}
   */
  async stream(body: object, signal: AbortSignal): Promise<ModelStream> {
    const transport = this.#transport;
    const response = await transport.send({ method: 'POST', path, body: JSON.stringify(body), signal });
    return new ModelStream(response.body, transport.service, (error) =>
      transport.named(error, 'model_interrupted'),
    );
  }
}
