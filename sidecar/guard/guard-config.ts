import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { check, readYaml } from '../../config/load.ts';
import { duration, localAddress } from '../../config/units.ts';

const argv = z
  .array(z.string().min(1), { error: 'a command as a list: [countersign, swap, logging]' })
  .min(1);

const commands = z.strictObject({
  state: argv
    .default(['systemctl', 'show', '--property=ActiveState', '--value', 'countersign-enforcing@*.service'])
    .describe(
      "Prints systemd's ActiveState of the enforcing service; a line for each version that is loaded.",
    ),
  rollback: z
    .array(argv)
    .min(1)
    .default([['countersign', 'swap', 'logging']])
    .describe('Swaps back to logging, in this order.'),
  restart: z
    .array(argv)
    .min(1)
    .default([['systemctl', 'try-restart', '--no-block', 'countersign-enforcing@*.service']])
    .describe('Brings the sidecar back when it is silent.'),
});

/** guard.yaml. Durations come out in milliseconds. */
export const guardConfigSchema = z.strictObject({
  admin: localAddress.prefault('127.0.0.1:15000').describe('The admin listener of the sidecar.'),
  gated: z
    .string({ error: 'the gate file that allowed the swap to enforcing' })
    .min(1)
    .describe('The gate file that allowed the swap.'),
  state: z.string().min(1).default('/var/lib/countersign-guard').describe('The folder of its state file.'),
  bake: duration.default(24 * 3_600_000).describe('How long after the swap it may swap back.'),
  poll: duration
    .refine((ms) => ms >= 100 && ms <= 5_000, { error: 'a duration from 100ms to 5s' })
    .default(2_000)
    .describe('How often it looks.'),
  ready_within: duration.default(60_000).describe('How long the sidecar may take to become ready.'),
  metrics: z.string().min(1).optional().describe("A file for Prometheus's textfile collector."),
  webhook: z
    .url({ protocol: /^https?$/, error: 'a URL such as https://alerts.example/hook' })
    .optional()
    .describe('Gets a POST for every alarm.'),
  commands: commands.prefault({}).describe('What it runs, each without a shell.'),
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
