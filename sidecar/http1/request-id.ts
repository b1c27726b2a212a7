import { randomBytes } from 'node:crypto';

const wellFormed = /^[A-Za-z0-9._:-]{1,128}$/;
const prefix = randomBytes(9).toString('base64url').replaceAll('-', '.');
let count = 0;

/** The request id that a call came with when it is usable in a log, a new one otherwise. */
export function requestIdOf(received: string | undefined): string {
  if (received !== undefined && wellFormed.test(received)) return received;
  return `${prefix}-${(count++).toString(36)}`;
}
