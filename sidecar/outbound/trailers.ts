import type { Trailers } from '../exchange/ends.ts';
import { FieldSection } from '../http1/field-section.ts';
import { fieldNames, foldedName, isIdentityName } from '../terms/field-names.ts';

const known = new Set<string>(fieldNames);

/** The app's own trailer fields, as they travel inside TLS: none that says who calls, what was signed or how to frame. */
export function passedTrailers(trailers: Trailers): FieldSection | undefined {
  if (trailers === undefined) return undefined;
  const passed = new FieldSection();
  for (const [name, value] of trailers) {
    const folded = foldedName(name);
    if (!known.has(folded) && !isIdentityName(folded)) passed.add(name, value);
  }
  return passed;
}
