import * as z from 'zod';
import { serviceName } from '../../config/units.ts';
import { keyId } from '../terms/kid.ts';
import type { KeyRegistry } from './registry.ts';
import type { Registry, Root, ServiceRoots } from './roots.ts';

const time = z.iso.datetime({ offset: true });
const root = z.strictObject({
  kid: keyId,
  /** 32 bytes in base64; null when the registry had lost it. */
  key: z.base64().length(44).nullable(),
  created_at: time,
});

/** What a backup of the registry holds, before it is encrypted. Progress of a rotation and its lock are not in it. */
export const backupSchema = z.strictObject({
  format: z.literal('countersign registry 1'),
  created: time,
  services: z.record(
    serviceName,
    z.strictObject({
      /** The highest that was ever made. */
      generation: z.int().min(0),
      current: root.optional(),
      pending: root.optional(),
      previous: root.extend({ not_after: time }).optional(),
      revoked: z.strictObject({ generation: z.int().min(1), at: time }).optional(),
    }),
  ),
  revoked_hosts: z.record(z.string(), time),
});

export type Backup = z.output<typeof backupSchema>;

/** Takes a backup of all that the registry holds of the services of a fleet. */
export async function takeBackup(
  registry: KeyRegistry,
  services: Iterable<string>,
  nowMs: number,
): Promise<Backup> {
  const state: Registry = await registry.read(services);
  const entries = [...state.services].map(async ([name, { current, pending, previous, revoked }]) => [
    name,
    {
      generation: await registry.generationsUsed(name),
      ...(current && { current: rootDocument(current) }),
      ...(pending && { pending: rootDocument(pending) }),
      ...(previous && { previous: { ...rootDocument(previous), not_after: previous.notAfter } }),
      ...(revoked && { revoked: { generation: revoked.generation, at: revoked.at } }),
    },
  ]);
  return {
    format: 'countersign registry 1',
    created: new Date(nowMs).toISOString(),
    services: Object.fromEntries(await Promise.all(entries)),
    revoked_hosts: Object.fromEntries(state.revokedHosts ?? []),
  };
}

/** The roots of one service in a backup. */
export function rootsIn({ current, pending, previous, revoked }: Backup['services'][string]): ServiceRoots {
  return {
    ...(current && { current: rootOf(current) }),
    ...(pending && { pending: rootOf(pending) }),
    ...(previous && { previous: { ...rootOf(previous), notAfter: previous.not_after } }),
    ...(revoked && { revoked }),
  };
}

function rootDocument({ kid, key, createdAt }: Root): z.output<typeof root> {
  return { kid, key: key?.toString('base64') ?? null, created_at: createdAt };
}

function rootOf({ kid, key, created_at }: z.output<typeof root>): Root {
  return { kid, key: key === null ? undefined : Buffer.from(key, 'base64'), createdAt: created_at };
}
