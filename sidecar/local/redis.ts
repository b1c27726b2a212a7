import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Child } from './child.ts';

/** The private Redis of the local fleet: conversations, and the key registry. */
export interface LocalRedis {
  readonly url: string;
  readonly process: Child;
  /** One ACL user for each purpose; the default user is off. */
  readonly users: { readonly core: RedisUser; readonly rotator: RedisUser };
}

export interface RedisUser {
  readonly name: string;
  readonly passwordFile: string;
}

/** As on a real fleet: whoever holds conversations cannot read a root key, and the other way round. */
const rights = {
  'countersign-core': '~chat:* &* +@all -@admin -@dangerous +info',
  'countersign-rotator': '~service:key:* &* +@all -@admin -@dangerous +info',
};

/**
 * Starts redis-server on a free port of 127.0.0.1, with its data, users and passwords in `folder`.
 *
 * @throws {import('./child.ts').ChildError}
 */
export async function startRedis(folder: string, log: string): Promise<LocalRedis> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const core = await redisUser(folder, 'countersign-core');
  const rotator = await redisUser(folder, 'countersign-rotator');
  const lines = [core, rotator].map(
    ({ user, hash }) => `user ${user.name} on #${hash} ${rights[user.name as keyof typeof rights]}`,
  );
  await writeFile(join(folder, 'users.acl'), `user default off\n${lines.join('\n')}\n`, { mode: 0o600 });
  const port = await freePort();
  const settings = [
    `bind 127.0.0.1`,
    `port ${port}`,
    `dir ${JSON.stringify(folder)}`,
    `aclfile ${JSON.stringify(join(folder, 'users.acl'))}`,
    'appendonly yes',
    'daemonize no',
  ];
  await writeFile(join(folder, 'redis.conf'), `${settings.join('\n')}\n`, { mode: 0o600 });
  const redis = new Child({
    name: 'redis-server',
    command: 'redis-server',
    words: [join(folder, 'redis.conf')],
    log,
    milestones: { ready: /Ready to accept connections/ },
  });
  await redis.reached('ready');
  return {
    url: `redis://127.0.0.1:${port}`,
    process: redis,
    users: { core: core.user, rotator: rotator.user },
  };
}

async function redisUser(folder: string, name: string): Promise<{ user: RedisUser; hash: string }> {
  const passwordFile = join(folder, `${name}.password`);
  let password = await readFile(passwordFile, 'utf8').catch(() => '');
  if (password === '') {
    password = randomBytes(32).toString('hex');
    await writeFile(passwordFile, password, { mode: 0o600 });
  }
  return { user: { name, passwordFile }, hash: createHash('sha256').update(password).digest('hex') };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  probe.once('error', reject);
  probe.listen(0, '127.0.0.1', () => {
    const { port } = probe.address() as AddressInfo;
    probe.close(() => resolve(port));
  });
  return promise;
}
