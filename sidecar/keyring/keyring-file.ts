import * as z from 'zod';
import { serviceName } from '../../config/units.ts';
import { PairKey } from '../signature/hmac.ts';
import { keyId, splitKeyId } from '../terms/kid.ts';
import { deriveTlsPsk } from './derive.ts';
import { KeySourceError } from './errors.ts';
import type { CallerKey, Keyring, OutboundKeys } from './keyring.ts';

const expectedKey = 'a key: 32 bytes in base64';

const pairKey = z.string({ error: expectedKey }).refine(
  (text) => {
    const bytes = Buffer.from(text, 'base64');
    return bytes.length === 32 && bytes.toString('base64') === text;
  },
  { error: expectedKey },
);

const host = z.union([z.ipv4(), z.ipv6()], { error: 'an IP address such as 172.16.168.22' });

/** keyring.json. */
export const keyringFileSchema = z
  .strictObject({
    service: serviceName,
    host,
    issue: z
      .string()
      .regex(/^[0-9a-f]{32}$/, { error: '32 hexadecimal digits' })
      .optional(),
    outbound: z.record(serviceName, z.strictObject({ kid: keyId, keys: z.record(host, pairKey) })),
    inbound: z.record(
      serviceName,
      z.array(
        z.strictObject({
          kid: keyId,
          key: pairKey,
          not_after: z.iso
            .datetime({ offset: true, error: 'a time such as 2026-12-01T00:00:00Z' })
            .optional(),
        }),
      ),
    ),
  })
  .superRefine((file, context) => {
    for (const [callee, { kid }] of Object.entries(file.outbound)) {
      if (splitKeyId(kid).caller === file.service) continue;
      const message = `a key id of ${file.service}, whose keyring this is`;
      context.addIssue({ code: 'custom', path: ['outbound', callee, 'kid'], message });
    }
    for (const [caller, keys] of Object.entries(file.inbound)) {
      const seen = new Set<string>();
      for (const [index, { kid }] of keys.entries()) {
        const path = ['inbound', caller, index, 'kid'];
        if (splitKeyId(kid).caller !== caller)
          context.addIssue({ code: 'custom', path, message: `a key id of ${caller}, under whom it stands` });
        if (seen.has(kid)) context.addIssue({ code: 'custom', path, message: 'each key id once' });
        seen.add(kid);
      }
    }
  });

export type KeyringFile = z.output<typeof keyringFileSchema>;

/**
 * Parses keyring.json.
 *
 * @throws {KeySourceError} keyring-malformed, naming every place and never a value
 */
export function parseKeyringFile(file: string, text: string): KeyringFile {
  if (text.trim() === '')
    throw new KeySourceError('keyring-malformed', file, 'found an empty file, expected keyring.json');
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    const place = /\(line \d+ column \d+\)|at position \d+/.exec(String(error))?.[0];
    throw new KeySourceError(
      'keyring-malformed',
      file,
      `found no valid JSON${place ? ` ${place}` : ''}, expected keyring.json`,
    );
  }
  const result = keyringFileSchema.safeParse(data);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys')
      return [`${[...issue.path, ''].join('.')}: found a key that keyring.json does not have`];
    const path = issue.path.length > 0 ? issue.path.join('.') : 'the file';
    return [`${path}: expected ${issue.message.replace(/^Invalid input: expected /, '')}`];
  });
  throw new KeySourceError('keyring-malformed', file, faults.join('; '));
}

/** The snapshot that the data path works with. */
export function toKeyring(file: KeyringFile): Keyring {
  const outbound = new Map<string, OutboundKeys>();
  for (const [callee, { kid, keys }] of Object.entries(file.outbound)) {
    const secrets = Object.entries(keys).map(([host, key]) => [host, Buffer.from(key, 'base64')] as const);
    outbound.set(callee, {
      kid,
      keys: new Map(secrets.map(([host, secret]) => [host, new PairKey(secret)])),
      psks: new Map(secrets.map(([host, secret]) => [host, deriveTlsPsk(secret)])),
    });
  }
  const inbound = new Map<string, CallerKey>();
  for (const [caller, keys] of Object.entries(file.inbound))
    for (const { kid, key, not_after } of keys) {
      const notAfterMs = not_after === undefined ? Number.POSITIVE_INFINITY : Date.parse(not_after);
      const secret = Buffer.from(key, 'base64');
      inbound.set(kid, { kid, caller, key: new PairKey(secret), psk: deriveTlsPsk(secret), notAfterMs });
    }
  return { service: file.service, host: file.host, issue: file.issue, outbound, inbound };
}
