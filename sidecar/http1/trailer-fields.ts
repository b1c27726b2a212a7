import { fieldNames, foldedName, isIdentityName } from '../terms/field-names.ts';
import { FieldSection } from './field-section.ts';

/** The trailer section of a message, lower-case name to combined value. */
export type Trailers = ReadonlyMap<string, string>;

/** Fields about framing, connection, routing, caching or the form of the content: they belong in a head. */
const headOnly = new Set([
  'age',
  'authorization',
  'cache-control',
  'connection',
  'content-encoding',
  'content-length',
  'content-location',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expires',
  'host',
  'http2-settings',
  'keep-alive',
  'location',
  'pragma',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'retry-after',
  'set-cookie',
  'set-cookie2',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
  'www-authenticate',
  'x-request-id',
]);
const known = new Set<string>(fieldNames);

/**
 * The trailer section of a response as it is passed on, without what belongs in a head: a client that merges trailers
 * into the head would take such a field for one that was there when the head was checked.
 *
 * @param named lower-case names that Connection listed: they end at this hop
 * @see RFC 9110 §6.5.1
 */
export function responseTrailers(trailers: Trailers, named: ReadonlySet<string> | undefined): FieldSection {
  const kept = new FieldSection();
  for (const [name, value] of trailers) {
    const folded = foldedName(name);
    if (!headOnly.has(folded) && !isIdentityName(folded) && !named?.has(name)) kept.add(name, value);
  }
  return kept;
}

const passesInRequest = (folded: string) =>
  !headOnly.has(folded) && !known.has(folded) && !isIdentityName(folded);

/** The app's own trailers of a request: without those that an app could mistake for something that was checked. */
export function ownTrailers(trailers: Trailers | undefined): readonly (readonly [string, string])[] {
  return [...(trailers ?? [])].filter(([name]) => passesInRequest(foldedName(name)));
}

/** As `ownTrailers`, as the trailer section to pass on. */
export function requestTrailers(trailers: Trailers | undefined): FieldSection {
  const kept = new FieldSection();
  for (const [name, value] of ownTrailers(trailers)) kept.add(name, value);
  return kept;
}

const token = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;

/** The names of its own trailers that a Trailer field announces, in lower case, each once. */
export function announcedTrailers(trailer: string | undefined): readonly string[] {
  if (trailer === undefined) return [];
  const names = trailer.split(',').map((name) => name.trim().toLowerCase());
  return [...new Set(names)].filter((name) => token.test(name) && passesInRequest(foldedName(name)));
}
