/**
 * The fields that the data path knows by name. While a head is parsed each field gets its number in this list
 * (0: any other), so that later looks-ups are array reads and no header name becomes a string.
 */
export const fieldNames = [
  '',
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'expect',
  'keep-alive',
  'proxy-connection',
  'http2-settings',
  'signature',
  'signature-input',
  'content-digest',
  'x-service-id',
  'x-service-content-length',
  'content-type',
  'content-encoding',
  'authorization',
  'cookie',
  'range',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-request-id',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
  'proxy-authorization',
  'proxy-authenticate',
  'x-service-refusal',
  'x-service-denial',
] as const;

export type KnownField = Exclude<(typeof fieldNames)[number], ''>;

/** The number of a known field. */
export const fieldId = Object.fromEntries(fieldNames.map((name, id) => [name, id])) as Record<
  KnownField,
  number
>;

const numbers = new Map<string, number>(fieldNames.map((name, id) => [name, id]));

/** The number of a field by its lower-case name, whatever it is; 0 when it is not a known one. */
export function fieldNumber(name: string): number {
  return numbers.get(name) ?? 0;
}

/**
 * Number of names that are not known but must never reach an app: any other `X-Service-*`, and names that an app
 * which reads `_` as `-` (as CGI, WSGI and PHP do) takes for one of ours.
 */
export const disguisedId = fieldNames.length;
