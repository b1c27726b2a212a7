import { hash } from 'node:crypto';
import type { Component, Coverage } from './components.ts';
import type { SignableRequest } from './message.ts';
import { SignatureError } from './signature-error.ts';

/** The value of one component, as its line of the signature base has it. */
function readValue(component: Component, message: SignableRequest): string {
  const value = component.read(message);
  if (value === undefined)
    throw new SignatureError(
      'component-missing',
      `${component.identifier} is covered, but the message has no such value`,
    );
  return value;
}

/**
 * The signature base (RFC 9421 §2.5).
 *
 * @param signed the covered components and the parameters of the signature: `("@method" …);created=…;keyid="…"`
 * @throws {SignatureError} component-missing
 */
export function signatureBase(coverage: Coverage, signed: string, message: SignableRequest): string {
  const { components, prefixes } = coverage;
  let base = '';
  for (let i = 0; i < components.length; i++)
    base += prefixes[i] + readValue(components[i] as Component, message);
  base += prefixes[components.length] + signed;
  // A line break in a value would let it speak for other components.
  let breaks = 0;
  for (let at = base.indexOf('\n'); at >= 0; at = base.indexOf('\n', at + 1)) breaks++;
  if (breaks !== components.length || base.includes('\r'))
    throw new SignatureError('component-missing', 'the value of a covered component has a line break');
  return base;
}

export interface ComponentHash {
  /** The component identifier, such as `"@path"`. */
  readonly component: string;
  /** Eight hexadecimal digits; `none` when the message lacks the value. */
  readonly hash: string;
}

/**
 * A short hash of each covered value, by which the two ends of a call can compare what they saw without showing it.
 *
 * @param nonce the signature's: it is in no log, so that nobody who reads one can try out passwords against the hash
 *   of an Authorization field
 */
export function componentHashes(
  message: SignableRequest,
  coverage: Coverage,
  nonce: string | undefined,
): ComponentHash[] {
  return coverage.components.map((component) => {
    try {
      const keyed = `${nonce ?? ''}\n${readValue(component, message)}`;
      const digest = hash('sha256', Buffer.from(keyed, 'latin1'), 'hex');
      return { component: component.identifier, hash: digest.slice(0, 8) };
    } catch (error) {
      if (error instanceof SignatureError) return { component: component.identifier, hash: 'none' };
      throw error;
    }
  });
}
