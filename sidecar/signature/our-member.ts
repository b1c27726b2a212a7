import { coverageOf } from './components.ts';
import type { CheckedCoverage } from './coverage-rules.ts';
import { checkCoverage } from './coverage-rules.ts';
import { serializeParams } from './serialize.ts';
import { SignatureError } from './signature-error.ts';
import { readParams, type SignatureParams, tagOf } from './signature-params.ts';
import {
  type DictionaryMember,
  type InnerList,
  type Member,
  parseList,
  parseMembers,
  StructuredFieldError,
} from './structured-fields.ts';

/** The one member of Signature-Input that is ours, with its signature. */
export interface OurMember extends SignatureParams {
  readonly label: string;
  readonly coverage: CheckedCoverage;
  /** The covered components and all parameters, as the signature base has them. */
  readonly signed: string;
  /** The MAC in base64, without colons. */
  readonly mac: string;
  /** Neither field holds anything beside it. */
  readonly alone: boolean;
}

/** Coverages of proven callers, by their text; of proven ones only, so that nobody else can fill it. */
const known = new Map<string, CheckedCoverage>();
const mostKnown = 512;
const longestKnown = 1024;

/** Keeps the coverage of a proven member at hand. */
export function rememberCoverage(coverage: CheckedCoverage): void {
  if (known.has(coverage.text) || coverage.text.length > longestKnown) return;
  if (known.size >= mostKnown) known.clear();
  const own = ownCoverage(coverage);
  known.set(own.text, own);
}

/** The same coverage, without the head of whose slices it may be made: a slice keeps the whole of it alive. */
export function ownCoverage(coverage: CheckedCoverage): CheckedCoverage {
  const [list] = parseList(Buffer.from(coverage.text, 'latin1').toString('latin1'));
  return checkCoverage(coverageOf((list as InnerList).items));
}

function parse(name: string, value: string): DictionaryMember[] {
  try {
    return parseMembers(value, known);
  } catch (error) {
    if (!(error instanceof StructuredFieldError)) throw error;
    throw new SignatureError('malformed-signature', `${name}: ${error.message}`);
  }
}

/**
 * Finds the member that carries `tag`, whatever its label; undefined when there is none.
 *
 * @throws {SignatureError} malformed-signature
 */
export function findOurMember(
  signatureInput: string | undefined,
  signature: string | undefined,
  tag: string,
): OurMember | undefined {
  if (signatureInput === undefined) return undefined;
  let label = '';
  let found: Member | undefined;
  const inputs = parse('Signature-Input', signatureInput);
  for (const { key, member } of inputs) {
    if (tagOf(member) !== tag) continue;
    if (found !== undefined)
      throw new SignatureError(
        'malformed-signature',
        `${label} and ${key} both have tag="${tag}"; expected one such member`,
      );
    label = key;
    found = member;
  }
  if (found === undefined) return undefined;
  if (found.items === undefined)
    throw new SignatureError(
      'malformed-signature',
      `Signature-Input: ${label} is no list of covered components`,
    );
  const params = readParams(found, tag);
  const coverage = (found.known as CheckedCoverage | undefined) ?? checkCoverage(coverageOf(found.items));
  const macs = macsOf(label, signature);
  const alone = inputs.length === 1 && macs.length === 1;
  const signed = coverage.text + serializeParams(found.params);
  return { ...params, label, coverage, signed, mac: macOf(label, macs), alone };
}

function macsOf(label: string, signature: string | undefined): DictionaryMember[] {
  if (signature === undefined)
    throw new SignatureError(
      'malformed-signature',
      `Signature-Input has ${label}, but there is no Signature field`,
    );
  return parse('Signature', signature);
}

function macOf(label: string, macs: readonly DictionaryMember[]): string {
  const member = macs.find(({ key }) => key === label)?.member;
  if (member === undefined)
    throw new SignatureError(
      'malformed-signature',
      `Signature-Input has ${label}, but Signature has no such member`,
    );
  if (member.items !== undefined || member.type !== 'bytes')
    throw new SignatureError('malformed-signature', `Signature: ${label} is no byte sequence`);
  return member.text.slice(1, -1);
}
