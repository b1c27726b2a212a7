import { tagOf } from './signature-params.ts';
import { type DictionaryMember, parseMembers, StructuredFieldError } from './structured-fields.ts';
import { headLabel, headTag, trailerTag } from './tags.ts';

export interface SignatureFields {
  readonly signatureInput?: string;
  readonly signature?: string;
}

/**
 * Takes our members out of Signature-Input and Signature; the members of others stay byte for byte, and a field
 * of which nothing stays is left out.
 *
 * Fields in which our members cannot be told from others, because they do not parse, are left out wholly when our
 * tag occurs in them.
 */
export function withoutOurMembers(
  signatureInput: string | undefined,
  signature: string | undefined,
): SignatureFields {
  // No escape in a structured field can hide the tag: only quotes and backslashes are ever escaped.
  if (signatureInput === undefined || !signatureInput.includes(headTag))
    return fields(signatureInput, signature);
  const ours = new Set<string>();
  let inputs: readonly DictionaryMember[];
  try {
    inputs = parseMembers(signatureInput);
  } catch (error) {
    if (error instanceof StructuredFieldError) return {};
    throw error;
  }
  for (const { key, member } of inputs) {
    const tag = tagOf(member);
    if (tag === headTag || tag === trailerTag) ours.add(key);
  }
  if (ours.size === 0) return fields(signatureInput, signature);
  const rest = keep(signatureInput, inputs, ours);
  if (signature === undefined) return fields(rest, undefined);
  try {
    return fields(rest, keep(signature, parseMembers(signature), ours));
  } catch (error) {
    if (error instanceof StructuredFieldError) return fields(rest, undefined);
    throw error;
  }
}

function keep(
  text: string,
  members: readonly DictionaryMember[],
  ours: ReadonlySet<string>,
): string | undefined {
  const kept = members.filter(({ key }) => !ours.has(key)).map(({ start, end }) => text.slice(start, end));
  return kept.length === 0 ? undefined : kept.join(', ');
}

function fields(signatureInput: string | undefined, signature: string | undefined): SignatureFields {
  return {
    ...(signatureInput === undefined ? undefined : { signatureInput }),
    ...(signature === undefined ? undefined : { signature }),
  };
}

/** A label that no other party's member has: `svc`, or `svc-2` and so on where that is taken. */
export function freeLabel({ signatureInput, signature }: SignatureFields): string {
  if (signatureInput === undefined && signature === undefined) return headLabel;
  const taken = `${signatureInput ?? ''},${signature ?? ''}`;
  let label: string = headLabel;
  for (let n = 2; taken.includes(label); n++) label = `${headLabel}-${n}`;
  return label;
}
