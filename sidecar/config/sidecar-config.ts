import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { check, readYaml } from '../../config/load.ts';
import { duration, serviceName, size, socketAddress } from '../../config/units.ts';

const addressText = /^(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):\d{1,5}$/;

const limits = z.strictObject({
  head: size
    .refine((bytes) => bytes >= 1024 && bytes <= 128 * 1024, { error: 'a size from 1KiB to 128KiB' })
    .default(16 * 1024),
  headers: z.int().min(1).max(1000).default(100),
  body_buffer: size.default(1024 * 1024),
  connections: z.int().min(1).max(1_000_000).default(12_000),
});

const timeouts = z
  .strictObject({
    head: duration.default(10_000),
    idle: duration.default(60_000),
    connect: duration.default(2_000),
    response: duration.default(120_000),
    tunnel_idle: duration.default(600_000),
    drain: duration.default(150_000),
  })
  .refine((t) => t.drain >= t.response, {
    path: ['drain'],
    error: 'a drain of at least timeouts.response, so that a swap cuts no answer short',
  });

/** sidecar.yaml: one VM's sidecar. Sizes come out in bytes, durations in milliseconds. */
export const sidecarConfigSchema = z.strictObject({
  service: serviceName,
  outbound: z.strictObject({
    listen: socketAddress,
    routes: z
      .record(z.string().regex(addressText, { error: 'a listener such as 127.0.0.1:18001' }), serviceName)
      .default({}),
  }),
  inbound: z.strictObject({ listen: socketAddress, app: socketAddress }),
  admin: z.strictObject({ listen: socketAddress }),
  fleet: z.string().min(1),
  authorization: z.string().min(1),
  keyring: z.string().min(1),
  state: z.string().min(1),
  workers: z.int().min(1).max(64).default(1),
  limits: limits.prefault({}),
  timeouts: timeouts.prefault({}),
});

export type SidecarConfig = z.output<typeof sidecarConfigSchema>;

/**
 * Reads sidecar.yaml; the paths in it come out absolute, relative ones being relative to the file itself.
 *
 * @throws {import('../../config/load.ts').ConfigError}
 */
export async function loadSidecarConfig(file: string): Promise<SidecarConfig> {
  const config = check(await readYaml(file), sidecarConfigSchema);
  const from = (path: string) => resolve(dirname(file), path);
  return {
    ...config,
    fleet: from(config.fleet),
    authorization: from(config.authorization),
    keyring: from(config.keyring),
    state: from(config.state),
  };
}
