import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { Test } from 'tap';

type Value = { stringValue?: string; intValue?: string; doubleValue?: number; boolValue?: boolean };
type Attributes = readonly { readonly key: string; readonly value: Value }[];

/** A span as a collector gets it, with its attributes and those of its resource as one object each. */
export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status?: { readonly code: number; readonly message: string };
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
}

/** A log record, as above. */
export interface CollectedLog {
  readonly eventName: string;
  readonly traceId?: string;
  readonly spanId?: string;
  readonly body: { readonly stringValue: string };
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A collector that speaks OTLP/HTTP with JSON. */
export class OtlpCollector {
  readonly spans: CollectedSpan[] = [];
  readonly logs: CollectedLog[] = [];
  /** Answers in place of the collector while it is set. */
  refuse: ((response: ServerResponse) => void) | undefined = undefined;
  readonly url: string;
  #waiting: (() => void)[] = [];

  private constructor(url: string) {
    this.url = url;
  }

  static async start(t: Test): Promise<OtlpCollector> {
    const server = createServer(async (request, response) => {
      // biome-ignore lint/suspicious/noExplicitAny: as the wire has it
      const body = (await json(request)) as any;
      if (collector.refuse !== undefined) {
        collector.refuse(response);
        return;
      }
      for (const { resource, scopeSpans } of body.resourceSpans ?? [])
        for (const { spans } of scopeSpans)
          for (const span of spans)
            collector.spans.push({
              ...span,
              attributes: toObject(span.attributes),
              resource: toObject(resource.attributes),
            });
      for (const { scopeLogs } of body.resourceLogs ?? [])
        for (const { logRecords } of scopeLogs)
          for (const log of logRecords) collector.logs.push({ ...log, attributes: toObject(log.attributes) });
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      for (const check of collector.#waiting) check();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const collector = new OtlpCollector(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    t.teardown(() => {
      server.close();
      server.closeAllConnections();
    });
    return collector;
  }

  /** Resolves once it has got what the condition wants. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => {
      const check = () => {
        if (!condition()) return;
        this.#waiting = this.#waiting.filter((other) => other !== check);
        resolve();
      };
      this.#waiting.push(check);
    });
  }
}

function toObject(attributes: Attributes): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value: { stringValue, intValue, doubleValue, boolValue } }) => [
      key,
      stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue)),
    ]),
  );
}
