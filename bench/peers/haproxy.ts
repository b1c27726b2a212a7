import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unstableProgram } from '../debian.ts';
import { mostConnections } from '../descriptors.ts';
import { freePort, start } from '../processes.ts';
import { checkingRules, type ReplayKey, replayTable } from './haproxy-rules.ts';
import type { Peer, Place, RunningPeer } from './peer.ts';
import { versionOf } from './version-of.ts';

const program = 'usr/sbin/haproxy';

/** How bodies pass through it. */
type Bodies = 'default' | 'splicing' | 'buffers' | 'whole';

/** Kernel splicing goes through pipes, of two descriptors each. */
const pipes = 256;
/** Lines of `global` and of `defaults`. A whole body has to fit in a buffer to be hashed. */
const bodyLines: Readonly<Record<Bodies, readonly [global: string, defaults: string]>> = {
  default: ['', ''],
  splicing: [`  tune.pipesize 1048576\n  maxpipes ${pipes}\n`, '  option splice-auto\n'],
  buffers: ['  tune.bufsize 131072\n', ''],
  whole: ['  tune.bufsize 1179648\n', '  option http-buffer-request\n'],
};

interface Ends {
  /** What follows the address of `bind` and that of `server`. */
  readonly bind?: string;
  readonly server?: string;
}

/** A whole configuration; the port that it passes calls on to is the app's, or that of another proxy. */
export function haproxyConfig(
  port: number,
  next: number,
  rules: string,
  further: string,
  bodies: Bodies,
  { bind = '', server = '' }: Ends = {},
): string {
  const [global, defaults] = bodyLines[bodies];
  return `global
  nbthread 1
  maxconn ${mostConnections() - pipes}
${global}defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 120s
  timeout http-request 10s
  http-reuse always
  option http-no-delay
${defaults}frontend in
  bind 127.0.0.1:${port} backlog 4096${bind}
${rules}
  default_backend app
backend app
  server app 127.0.0.1:${next} pool-max-conn 256${server}
${further}`;
}

/** Starts it with a configuration of its own name. */
export async function startHaproxy(
  place: Place,
  port: number,
  name: string,
  configuration: string,
): Promise<RunningPeer> {
  const file = join(place.folder, `${name}.cfg`);
  // Keys stand in it.
  await writeFile(file, configuration, { mode: 0o600 });
  const [command, ...words] = unstableProgram(program);
  const { pid, stop } = await start(command, [...words, '-db', '-f', file], {
    cores: place.cores,
    port,
    cwd: place.folder,
  });
  return { port, pids: [pid], stop };
}

/** The keys of callers, as a map. */
export async function writeKeys({ folder, identity }: Place): Promise<void> {
  await writeFile(join(folder, 'keys.map'), `${identity.kid} ${identity.key}\n`, { mode: 0o600 });
}

export const haproxy = {
  unstable: true,
  version: () => versionOf(...unstableProgram(program), '-v'),
} as const;

function checking(
  id: string,
  variant: string | undefined,
  replayKey: ReplayKey,
  bodies: Bodies,
  title = 'HAProxy, equal work',
): Peer {
  return {
    ...haproxy,
    id,
    title,
    ...(variant !== undefined && { variant }),
    dialect: 'fields',
    checks: true,
    note: 'reads plain fields: it cannot parse RFC 9421',
    async start(place) {
      const port = await freePort();
      await writeKeys(place);
      const rules = checkingRules(place.identity, replayKey, bodies === 'whole');
      const configuration = haproxyConfig(port, place.app, rules, replayTable(replayKey), bodies);
      return startHaproxy(place, port, 'haproxy', configuration);
    },
  };
}

export const haproxyEqual = checking('haproxy-equal', 'replays by MAC', 'mac', 'default');
export const haproxyEqualNonce = checking('haproxy-equal-nonce', 'replays by nonce', 'nonce', 'default');
export const haproxyPlain: Peer = {
  ...haproxy,
  id: 'haproxy-plain',
  title: 'HAProxy, no checks',
  dialect: 'plain',
  checks: false,
  async start(place) {
    const port = await freePort();
    return startHaproxy(place, port, 'haproxy', haproxyConfig(port, place.app, '', '', 'default'));
  },
};

/** Those that pass bodies on in other ways, for that subject. */
export const haproxyBodies: readonly Peer[] = [
  checking('haproxy-equal', '16 KiB buffers', 'mac', 'default'),
  checking('haproxy-equal-splicing', 'kernel splicing', 'mac', 'splicing'),
  checking('haproxy-equal-buffers', '128 KiB buffers', 'mac', 'buffers'),
];

/** It reads a body whole before it passes the first byte on, as it must to check a digest. */
export const haproxyDigest = checking(
  'haproxy-digest',
  undefined,
  'mac',
  'whole',
  'HAProxy, equal work, checks digests',
);
