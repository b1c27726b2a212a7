import type { Feed } from '../../signals/feed.ts';
import { epochMs, spanJson } from '../../signals/otlp.ts';
import type { Span } from '../../signals/trace-context.ts';
import { errorType, type Operation } from './model-metrics.ts';

/**
 * An operation that leaves a span when it ends, by OpenTelemetry's conventions for generative AI.
 *
 * @param service the service that runs the models
 * @see https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
 */
export function tracedOperation(
  operation: Operation,
  span: Span,
  traces: Feed,
  model: string,
  service: string,
): Operation {
  const startedAtMs = performance.now();
  let firstChunkSeconds: number | undefined;
  let isOver = false;
  return {
    chunk() {
      firstChunkSeconds ??= (performance.now() - startedAtMs) / 1000;
      operation.chunk();
    },
    end(error) {
      operation.end(error);
      if (isOver || !traces.hasRoom()) return;
      isOver = true;
      const failed = error === undefined ? undefined : errorType(error);
      traces.push(
        spanJson({
          span,
          name: `chat ${model}`,
          kind: 'client',
          startMs: epochMs(startedAtMs),
          endMs: epochMs(performance.now()),
          error: failed,
          attributes: {
            'gen_ai.operation.name': 'chat',
            'gen_ai.provider.name': service,
            'gen_ai.request.model': model,
            'countersign.time_to_first_chunk_seconds': firstChunkSeconds,
            'server.address': service,
            'error.type': failed,
          },
        }),
      );
    },
  };
}
