import type { Feed } from '../../signals/feed.ts';
import { childOf } from '../../signals/trace-context.ts';
import { type Onward, onwardFields } from '../terms/onward.ts';
import type { ModelMetrics } from './model-metrics.ts';
import { tracedOperation } from './model-span.ts';
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
  readonly #traces: Feed | undefined;

  /** @param traces where spans go; undefined when nowhere */
  constructor(transport: ModelTransport, metrics: ModelMetrics, traces: Feed | undefined) {
    this.#transport = transport;
    this.#metrics = metrics;
    this.#traces = traces;
  }

  /**
   * One answer as a whole, parsed.
   *
   * @throws {import('./failures.ts').ModelRefusal} the model's own 4xx
   * @throws {import('./failures.ts').ModelFailure} `model_unavailable`, `model_timeout`, `model_refused`, `model_interrupted`
   */
  async complete(request: ModelRequest, signal: AbortSignal, onward?: Onward): Promise<unknown> {
    const { operation, headers } = this.#begin(request.model, onward);
    try {
      const body = JSON.stringify(request);
      const answer = await this.#transport.json(
        { method: 'POST', path, body, signal, headers },
        answerLimitBytes,
      );
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
  async stream(request: ModelRequest, signal: AbortSignal, onward?: Onward): Promise<ModelStream> {
    const transport = this.#transport;
    const { operation, headers } = this.#begin(request.model, onward);
    try {
      const body = JSON.stringify(request);
      const response = await transport.send({ method: 'POST', path, body, signal, headers });
      const named = (error: unknown) => transport.named(error, 'model_interrupted');
      return new ModelStream(response.body, transport.service, named, operation);
    } catch (error) {
      operation.end(error);
      throw error;
    }
  }

  /** @param onward undefined of calls that no request waits for */
  #begin(model: string, onward: Onward | undefined) {
    const metered = this.#metrics.begin(model);
    if (onward === undefined) return { operation: metered, headers: {} };
    const traces = this.#traces;
    if (onward.span === undefined || traces === undefined)
      return { operation: metered, headers: onwardFields(onward) };
    const span = childOf(onward.span);
    const operation = tracedOperation(metered, span, traces, model, this.#transport.service);
    return { operation, headers: onwardFields(onward, span) };
  }
}
