import { fieldId, fieldNames, foldedName, isIdentityName } from '../terms/field-names.ts';
import type { Coverage } from './components.ts';
import type { SignableRequest } from './message.ts';

/** What every signature covers. */
export const alwaysCovered = ['@method', '@authority', '@path', '@query', 'x-service-id'] as const;

/** Fields that change what a request means to somebody: covered whenever the message has them. */
export const coveredWhenPresent = [
  'content-type',
  'content-encoding',
  'authorization',
  'cookie',
  'range',
  'upgrade',
  'x-forwarded-for',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
  'x-service-content-length',
] as const;

/** The trailer fields of the streaming form: the Trailer field lists these, and the app's own behind them. */
export const streamingTrailers = ['content-digest', 'signature', 'signature-input'] as const;

const idsWhenPresent = coveredWhenPresent.map((name) => fieldId[name]);

/** Whether a request has a body, by RFC 9112 §6.3. */
export function hasBody(message: SignableRequest): boolean {
  if (message.known(fieldId['transfer-encoding']) !== undefined) return true;
  const length = message.known(fieldId['content-length']);
  return length !== undefined && /[^0]/.test(length);
}

/**
 * What our signature of this request covers: whatever the rules demand, in one fixed order. For the same set of
 * fields it is the same array, which `signRequest` has prepared before.
 *
 * @param proof how a body is proven: by its digest, by one in the trailer section, or by TLS
 * @param coveredFields further fields to cover when they are present: fleet.yaml's `covered_fields`
 */
export function requiredComponents(
  message: SignableRequest,
  proof: 'digest' | 'trailer' | 'tls',
  coveredFields: readonly string[] = [],
): readonly string[] {
  let set = proof === 'trailer' ? 2 : proof === 'digest' && hasBody(message) ? 1 : 0;
  for (let i = 0; i < idsWhenPresent.length; i++)
    if (message.known(idsWhenPresent[i] as number) !== undefined) set |= 4 << i;
  let names = bySet.get(set);
  if (names === undefined) {
    names = [
      ...alwaysCovered,
      ...(proof === 'trailer' ? ['trailer'] : (set & 1) !== 0 ? ['content-digest'] : []),
      ...coveredWhenPresent.filter((_, i) => (set & (4 << i)) !== 0),
    ];
    if (bySet.size >= mostSets) bySet.clear();
    bySet.set(set, names);
  }
  const further = coveredFields.filter((name) => message.field(name) !== undefined);
  return further.length === 0 ? names : withFurther(names, further);
}

/** The names and further ones behind them: the same array each time. */
function withFurther(names: readonly string[], further: readonly string[]): readonly string[] {
  const all = [...names, ...further];
  const key = all.join(' ');
  const known = byNames.get(key);
  if (known !== undefined) return known;
  if (byNames.size >= mostSets) byNames.clear();
  byNames.set(key, all);
  return all;
}

const byNames = new Map<string, readonly string[]>();
const bySet = new Map<number, readonly string[]>();
const mostSets = 1024;

/** A coverage, and what of the rules it leaves open. */
export interface CheckedCoverage extends Coverage {
  readonly alwaysMissing: readonly string[];
  /** By number in `fieldNames`. */
  readonly missingWhenPresent: readonly number[];
  readonly coversDigest: boolean;
  readonly coversTrailer: boolean;
}

export function checkCoverage(coverage: Coverage): CheckedCoverage {
  const isOpen = (name: string) => !coverage.whole.has(name);
  return {
    ...coverage,
    alwaysMissing: alwaysCovered.filter(isOpen),
    missingWhenPresent: coveredWhenPresent.filter(isOpen).map((name) => fieldId[name]),
    coversDigest: coverage.whole.has('content-digest'),
    coversTrailer: coverage.whole.has('trailer'),
  };
}

/** How the body of a request is proven: by its digest, by one in the trailer section, or by TLS record by record. */
export type ProvenBy = 'none' | 'digest' | 'trailer' | 'tls';

/**
 * What is not covered though the rules demand it; how the body is proven when nothing is missing.
 *
 * @param sealed the request came inside TLS with the pair key: its body needs no digest, and what its fields say is proven
 * @param coveredFields fleet.yaml's `covered_fields`
 */
export function applyRules(
  coverage: CheckedCoverage,
  message: SignableRequest,
  sealed: boolean,
  coveredFields: readonly string[] = [],
): { readonly missing: readonly string[]; readonly hint?: string } | ProvenBy {
  const { missingWhenPresent } = coverage;
  let missing = coverage.alwaysMissing;
  for (let i = 0; i < missingWhenPresent.length; i++) {
    const id = missingWhenPresent[i] as number;
    if (message.known(id) !== undefined) missing = [...missing, fieldNames[id] as string];
  }
  if (!sealed) {
    for (const name of coveredFields)
      if (!coverage.whole.has(name) && message.field(name) !== undefined) missing = [...missing, name];
  }
  let by: ProvenBy = 'none';
  let hint: string | undefined;
  if (coverage.coversDigest) by = 'digest';
  else if (sealed && !coverage.coversTrailer) by = hasBody(message) ? 'tls' : 'none';
  else if (hasBody(message)) {
    by = 'trailer';
    if (!coverage.coversTrailer) missing = [...missing, 'content-digest'];
    else if (!listsStreamingTrailers(message.known(fieldId.trailer))) {
      missing = [...missing, 'content-digest'];
      hint = `Trailer must list ${streamingTrailers.join(', ')} once, and no identity field`;
    } else if (message.known(fieldId['transfer-encoding']) === undefined) {
      missing = [...missing, 'content-digest'];
      hint = 'a body that is not chunked has no trailer section';
    }
  }
  if (missing.length === 0) return by;
  return hint === undefined ? { missing } : { missing, hint };
}

function listsStreamingTrailers(trailer: string | undefined): boolean {
  if (trailer === undefined) return false;
  const listed = trailer.split(',').map((name) => name.trim().toLowerCase());
  return (
    streamingTrailers.every((name) => listed.includes(name)) &&
    new Set(listed).size === listed.length &&
    !listed.some((name) => isIdentityName(foldedName(name)))
  );
}
