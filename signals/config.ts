import * as z from 'zod';
import { path } from '../config/units.ts';
import type { SignalTargets } from './feeds.ts';

const collector = z
  .string({ error: 'a URL such as http://127.0.0.1:4318' })
  .transform((text, context) => {
    const url = URL.parse(text);
    const isBase = url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '';
    if (isBase && url.username === '' && url.password === '') return url.href.replace(/\/+$/, '');
    context.issues.push({
      code: 'custom',
      input: text,
      message: 'a URL such as http://127.0.0.1:4318, without user, query or fragment',
    });
    return z.NEVER;
  })
  .meta({ kind: 'URL' })
  .optional()
  .describe(
    'Base URL of an OpenTelemetry collector (OTLP/HTTP): spans go to /v1/traces, denials to /v1/logs.',
  );

/** `telemetry` of core.yaml. */
export const coreTelemetrySchema = z
  .strictObject({
    otlp: collector.describe('Base URL of an OpenTelemetry collector (OTLP/HTTP): spans go to /v1/traces.'),
  })
  .optional();

/** `telemetry` of sidecar.yaml. */
export const sidecarTelemetrySchema = z
  .strictObject({
    otlp: collector,
    access_log: path
      .optional()
      .describe('File with a JSON line for each call, mode 0600; opened anew on SIGHUP.'),
  })
  .optional();

/** Where signals go; undefined when nothing is exported. */
export function signalTargets(telemetry: z.output<typeof sidecarTelemetrySchema>): SignalTargets | undefined {
  if (telemetry?.otlp === undefined && telemetry?.access_log === undefined) return undefined;
  return { otlp: telemetry.otlp, accessLog: telemetry.access_log };
}
