import type { MetricsFormat } from '../telemetry/metrics.ts';

/** The format of metrics that an Accept field prefers (RFC 9110 §12.5.1); Prometheus text where it does not say. */
export function metricsFormat(accept: string | undefined): MetricsFormat {
  const weights = new Map<string, number>();
  for (const range of (accept ?? '').split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    if (weight >= 0 && weight <= 1) weights.set(type, Math.max(weight, weights.get(type) ?? 0));
  }
  const open = weights.get('application/openmetrics-text') ?? 0;
  return open > 0 && open >= (weights.get('text/plain') ?? 0) ? 'openmetrics' : 'prometheus';
}
