import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Test } from 'tap';
import { KeyHosts } from './key-hosts.ts';
import { fleetOf, fleetYaml } from './keyrings.ts';
import { RedisGate } from './redis-gate.ts';
import { startRedis } from './redis-server.ts';
import { type Ran, runCountersign } from './run-countersign.ts';
import { tempFolder } from './temp-folder.ts';

export const storyFleet = fleetOf({
  'main-backend': ['127.0.0.1'],
  'npu-worker': ['127.0.0.2', '127.0.0.3'],
});

export interface KeyStory {
  readonly hosts: KeyHosts;
  readonly redis: Redis;
  readonly gate: RedisGate;
  readonly folder: string;
  readonly run: (args: readonly string[], onStart?: (pid: number) => void) => Promise<Ran>;
  readonly rotate: (deliver: string, onStart?: (pid: number) => void) => Promise<Ran>;
}

/** A fleet with keys, its sidecars following their keyring files, and a registry behind a gate. */
export async function keyStory(t: Test): Promise<KeyStory> {
  const folder = await tempFolder(t);
  const server = await startRedis(t);
  const gate = await RedisGate.open(t, server.port);
  const redis = new Redis(server.port, '127.0.0.1');
  t.teardown(() => redis.disconnect());
  await writeFile(join(folder, 'fleet.yaml'), fleetYaml(storyFleet));
  const registry = ['--redis', `redis://127.0.0.1:${gate.port}`, '--fleet', join(folder, 'fleet.yaml')];
  const out = join(folder, 'out');
  const run: KeyStory['run'] = ([command = '', ...args], onStart) =>
    runCountersign(['keys', command, ...registry, ...args], {
      onStart: ({ pid }) => onStart?.(pid),
    });
  const made = await run(['init', '--out', out]);
  if (made.code !== 0) throw new Error(made.stderr);
  const hosts = await KeyHosts.start(t, storyFleet, out, folder);
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));
  return {
    hosts,
    redis,
    gate,
    folder,
    run,
    rotate: (deliver, onStart) =>
      run(['rotate', '--out', out, '--deliver', deliver, '--wait', '20', ...hosts.from], onStart),
  };
}

/** What a rotator that was killed leaves behind ends by itself; the test need not wait for that. */
export async function letTheLockExpire(redis: Redis): Promise<void> {
  if ((await redis.hget('service:key::rotation', 'until')) !== null)
    await redis.hset('service:key::rotation', 'until', '0');
}

/** The key id of each service, in the order of the fleet. */
export async function generations(redis: Redis): Promise<(string | null)[]> {
  return Promise.all([...storyFleet.services.keys()].map((name) => redis.hget(`service:key:${name}`, 'kid')));
}

/** The key id that each service had before. */
export async function previousGenerations(redis: Redis): Promise<(string | null)[]> {
  return Promise.all(
    [...storyFleet.services.keys()].map((name) => redis.hget(`service:key:${name}:previous`, 'kid')),
  );
}
