import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { check, readYaml } from '../../config/load.ts';
import { duration, localAddress } from '../../config/units.ts';

const argv = z
  .array(z.string().min(1), { error: 'a command as a list: [systemctl, start, countersign-logging.service]' })
  .min(1);

const commands = z.strictObject({
  /** Prints systemd's ActiveState of the enforcing service. */
  state: argv.default([
    'systemctl',
    'show',
    '--property=ActiveState',
    '--value',
    'countersign-enforcing.service',
  ]),
  /** Run in this order. The logging service waits for the replay memory until the enforcing one has let go of it. */
  rollback: z
    .array(argv)
    .min(1)
    .default([
      ['systemctl', 'start', '--no-block', 'countersign-logging.service'],
      ['systemctl', 'stop', '--no-block', 'countersign-enforcing.service'],
      ['systemctl', 'enable', 'countersign-logging.service'],
      ['systemctl', 'disable', 'countersign-enforcing.service'],
    ]),
  restart: z
    .array(argv)
    .min(1)
    .default([['systemctl', 'restart', '--no-block', 'countersign-enforcing.service']]),
});

/** guard.yaml. Durations come out in milliseconds. */
export const guardConfigSchema = z.strictObject({
  admin: localAddress.prefault('127.0.0.1:15000'),
  /** The gate file that allowed the swap. */
  gated: z.string({ error: 'the gate file that allowed the swap to enforcing' }).min(1),
  state: z.string().min(1).default('/var/lib/countersign-guard'),
  bake: duration.default(24 * 3_600_000),
  poll: duration
    .refine((ms) => ms >= 100 && ms <= 5_000, { error: 'a duration from 100ms to 5s' })
    .default(2_000),
  ready_within: duration.default(60_000),
  /** A file for Prometheus's textfile collector. */
  metrics: z.string().min(1).optional(),
  /** Gets a POST for every alarm. */
  webhook: z.url({ protocol: /^https?$/, error: 'a URL such as https://alerts.example/hook' }).optional(),
  commands: commands.prefault({}),
});

export type GuardConfig = z.output<typeof guardConfigSchema>;

/**
 * Reads guard.yaml; paths in it are relative to the file.
 *
 * @throws {import('../../config/load.ts').ConfigError}
 */
export async function loadGuardConfig(file: string): Promise<GuardConfig> {
  const config = check(await readYaml(file), guardConfigSchema, 'guard.yaml');
  const from = (path: string) => resolve(dirname(file), path);
  return {
    ...config,
    admin: 'path' in config.admin ? { path: from(config.admin.path) } : config.admin,
    gated: from(config.gated),
    state: from(config.state),
    ...(config.metrics === undefined ? {} : { metrics: from(config.metrics) }),
  };
}
