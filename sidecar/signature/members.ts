import { tagOf } from './signature-params.ts';
import { parseDictionary, StructuredFieldError } from './structured-fields.ts';
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
  let inputs: ReadonlyMap<string, string>;
  try {
    const spans = new Map<string, { start: number; end: number }>();
    for (const [label, member] of parseDictionary(signatureInput, undefined, spans)) {
      const tag = tagOf(member);
      if (tag === headTag || tag === trailerTag) ours.add(label);
    }
    inputs = slices(signatureInput, spans);
  } catch (error) {
    if (error instanceof StructuredFieldError) return {};
    throw error;
  }
  if (ours.size === 0) return fields(signatureInput, signature);
  const rest = keep(inputs, ours);
  if (signature === undefined) return fields(rest, undefined);
  try {
    const spans = new Map<string, { start: number; end: number }>();
    parseDictionary(signature, undefined, spans);
    return fields(rest, keep(slices(signature, spans), ours));
  } catch (error) {
    if (error instanceof StructuredFieldError) return fields(rest, undefined);
    throw error;
  }
}

const slices = (text: string, spans: ReadonlyMap<string, { start: number; end: number }>) =>
  new Map([...spans].map(([label, { start, end }]) => [label, text.slice(start, end)]));

function keep(members: ReadonlyMap<string, string>, ours: ReadonlySet<string>): string | undefined {
  const kept = [...members].filter(([label]) => !ours.has(label)).map(([, text]) => text);
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
