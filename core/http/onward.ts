import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Feed } from '../../signals/feed.ts';
import { epochMs, spanJson } from '../../signals/otlp.ts';
import { continueTrace, type Span } from '../../signals/trace-context.ts';
import type { Onward } from '../terms/onward.ts';
import { callerOf } from './caller.ts';

interface Traced {
  readonly span: Span;
  readonly startedAtMs: number;
}

const traced = new WeakMap<FastifyRequest, Traced>();

/** Continues sampled traces: each request in one gets a span. @param traces where spans go; undefined when nowhere */
export function useTraces(app: FastifyInstance, traces: Feed | undefined): void {
  if (traces === undefined) return;
  app.addHook('onRequest', async (request) => {
    const span = continueTrace(traceparentOf(request));
    if (span !== undefined) traced.set(request, { span, startedAtMs: performance.now() });
  });
  app.addHook('onResponse', async (request, reply) => {
    const own = traced.get(request);
    if (own === undefined || !traces.hasRoom()) return;
    const { method, routeOptions } = request;
    const status = reply.raw.statusCode;
    const route = routeOptions.url;
    const error = status >= 500 ? String(status) : undefined;
    traces.push(
      spanJson({
        span: own.span,
        name: route === undefined ? method : `${method} ${route}`,
        kind: 'server',
        startMs: epochMs(own.startedAtMs),
        endMs: epochMs(performance.now()),
        error,
        attributes: {
          'http.request.method': method,
          'http.route': route,
          'http.response.status_code': status,
          'url.scheme': 'http',
          'error.type': error,
          'countersign.caller': callerOf(request) ?? undefined,
          'countersign.request_id': request.id,
        },
      }),
    );
  });
}

/** What goes on to the model with the calls of a request. */
export function onwardOf(request: FastifyRequest): Onward {
  return {
    requestId: request.id,
    traceparent: traceparentOf(request),
    span: traced.get(request)?.span,
  };
}

function traceparentOf({ headers: { traceparent } }: FastifyRequest): string | undefined {
  return typeof traceparent === 'string' ? traceparent : undefined;
}
