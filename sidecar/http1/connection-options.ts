import { coveredWhenPresent, streamingTrailers } from '../signature/coverage-rules.ts';
import { foldedName, isIdentityName } from '../terms/field-names.ts';
import { Remembered } from './remembered.ts';

/** What a Connection field says (RFC 9110 §7.6.1). */
export interface ConnectionOptions {
  readonly close: boolean;
  readonly keepAlive: boolean;
  readonly upgrade: boolean;
  /** Lower-case names of further fields that end at this hop; undefined when there are none. */
  readonly named: ReadonlySet<string> | undefined;
  /** The first listed name that must not end at this hop, because signatures cover it. */
  readonly endToEnd: string | undefined;
}

/** Fields that decide who calls, what, or where: dropping one at a hop would change what was signed. */
const covered = new Set<string>([
  'host',
  'content-length',
  'trailer',
  ...streamingTrailers,
  ...coveredWhenPresent,
]);

const remembered = new Remembered<ConnectionOptions>(200);

/** Reads the combined value of Connection. */
export function connectionOptions(value: string): ConnectionOptions {
  const known = remembered.get(value);
  if (known !== undefined) return known;
  const names = new Set<string>();
  for (const part of value.split(',')) {
    const name = part.trim().toLowerCase();
    if (name !== '') names.add(name);
  }
  const close = names.delete('close');
  const keepAlive = names.delete('keep-alive');
  const upgrade = names.delete('upgrade');
  const endToEnd = [...names].find((name) => {
    const folded = foldedName(name);
    return covered.has(folded) || isIdentityName(folded);
  });
  const options = { close, keepAlive, upgrade, named: names.size > 0 ? names : undefined, endToEnd };
  remembered.set(value, options);
  return options;
}
