import { foldedName, isIdentityName } from '../terms/field-names.ts';
import { FieldSection } from './field-section.ts';

/** Fields about framing, connection, routing, caching or identity: a trailer section can't change these any more. */
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

/**
 * The trailer section of a response as it is passed on, without what belongs in a head: a client that merges trailers
 * into the head would take such a field for one that was there when the head was checked.
 *
 * @param trailers lower-case name to combined value
 * @param named lower-case names that Connection listed: they end at this hop
 * @see RFC 9110 §6.5.1
 */
export function responseTrailers(
  trailers: ReadonlyMap<string, string>,
  named: ReadonlySet<string> | undefined,
): FieldSection {
  const kept = new FieldSection();
  for (const [name, value] of trailers) {
    const folded = foldedName(name);
    if (!headOnly.has(folded) && !isIdentityName(folded) && !named?.has(name)) kept.add(name, value);
  }
  return kept;
}
