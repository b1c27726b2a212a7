import { coverageOf } from './components.ts';
import type { CheckedCoverage } from './coverage-rules.ts';
import { checkCoverage } from './coverage-rules.ts';
import { SignatureError } from './signature-error.ts';
import { readParams, type SignatureParams, tagOf } from './signature-params.ts';
import {
  type DictionaryMember,
  type Member,
  parseMembers,
  StructuredFieldError,
} from './structured-fields.ts';
import { headTag } from './tags.ts';
import { usualMember } from './usual-member.ts';

/** The one member of Signature-Input that is ours, with its signature. */
export interface OurMember {
  readonly label: string;
  readonly coverage: CheckedCoverage;
  readonly params: SignatureParams;
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
  // A slice of the head would keep the whole head alive.
  known.set(Buffer.from(coverage.text, 'latin1').toString('latin1'), coverage);
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
  const usual = tag === headTag ? usualMember(signatureInput, signature, known) : undefined;
  if (usual !== undefined) return usual;
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
  return { label, coverage, params, mac: macOf(label, macs), alone };
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
