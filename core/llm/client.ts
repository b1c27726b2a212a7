import type { ModelMetrics } from './model-metrics.ts';
import { ModelStream } from './model-stream.ts';
import type { ModelTransport } from './transport.ts';

const answerLimitBytes = 32 * 1024 * 1024;
const path = '/v1/chat/completions';

/** A chat completion to ask for. */
export interface ModelRequest {
  readonly model: string;
}

/** Chat completions of a model server that speaks the OpenAI API. */
export class ModelClient {
  readonly #transport: ModelTransport;
  readonly #metrics: ModelMetrics;

  constructor(transport: ModelTransport, metrics: ModelMetrics) {
    this.#transport = transport;
    this.#metrics = metrics;
  }

  /**
   * One answer as a whole, parsed.
   *
   * @throws {import('./failures.ts').ModelRefusal} the model's own 4xx
   * @throws {import('./failures.ts').ModelFailure} `model_unavailable`, `model_timeout`, `model_refused`, `model_interrupted`
   */
  async complete(request: ModelRequest, signal: AbortSignal): Promise<unknown> {
    const operation = this.#metrics.begin(request.model);
    try {
      const body = JSON.stringify(request);
      const answer = await this.#transport.json({ method: 'POST', path, body, signal }, answerLimitBytes);
      operation.end();
      return answer;
    } catch (error) {
      operation.end(error);
      throw error;
    }
  }

  /**
   * A streamed answer. Resolves when its head is there.
   *
   * @throws as {@link complete}
   */
  async stream(request: ModelRequest, signal: AbortSignal): Promise<ModelStream> {
    const transport = this.#transport;
    const operation = this.#metrics.begin(request.model);
    try {
      const response = await transport.send({ method: 'POST', path, body: JSON.stringify(request), signal });
      const named = (error: unknown) => transport.named(error, 'model_interrupted');
      return new ModelStream(response.body, transport.service, named, operation);
    } catch (error) {
      operation.end(error);
      throw error;
    }
  }
}
