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
  'traceparent',
] as const;

export type KnownField = Exclude<(typeof fieldNames)[number], ''>;

/** Fields of a request that end at this hop, or are written anew for the next one (RFC 9110 §7.6.1). */
export const requestHopFields = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'content-length',
  'upgrade',
  'http2-settings',
] as const satisfies readonly KnownField[];

/** Fields that say who calls, what was signed and what came of it: each side writes its own. */
export const serviceFields = [
  'signature',
  'signature-input',
  'x-service-id',
  'x-service-content-length',
  'x-service-refusal',
  'x-service-denial',
  'x-request-id',
] as const satisfies readonly KnownField[];

/** Fields of a response that only a sidecar may write: each side removes what it received and writes its own. */
export const serviceAnswerFields = [
  'x-service-id',
  'x-service-content-length',
  'x-service-denial',
  'x-request-id',
] as const satisfies readonly KnownField[];

/** Fields of a response that end at this hop, or are written anew. */
export const responseHopFields = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
] as const satisfies readonly KnownField[];

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

/** A name as servers in front of CGI, WSGI and the like read it: they fold all that is no letter or digit. */
export function foldedName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
}

/** Whether a folded name is that of an identity field, which only sidecars write. */
export function isIdentityName(folded: string): boolean {
  return folded.startsWith('x-service-');
}

/**
 * Number of lines that are never passed on: identity fields that are not known ones, and names that only fold to a known
 * one, so that a server in front of CGI takes them for it.
 */
export const disguisedId = fieldNames.length;
