import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { stringify } from 'yaml';
import { freePort, startRedis } from '../support/redis-server.ts';
import { tempFolder } from '../support/temp-folder.ts';

const run = promisify(execFile);
const role = fileURLToPath(new URL('../../ansible/roles/redis_acl', import.meta.url));

/** What a Redis in use has: a password for everyone, and users of an exporter, of replicas and of Sentinel. */
const before = `requirepass everybody
user exporter on >exporting ~* -@all +info +ping
user follower on >following -@all +psync +replconf +ping
user watcher on >watching allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info +client|setname +client|kill +script|kill
`;

/** redis-cli as a user; refusals come as text. */
async function ask(port: number, user: string, password: string, ...words: string[]): Promise<string> {
  const login = ['-p', String(port), '--user', user, '--no-auth-warning'];
  const { stdout, stderr } = await run('redis-cli', [...login, ...words], {
    env: { ...process.env, REDISCLI_AUTH: password },
  });
  return stdout + stderr;
}

/** Renders users.acl as the role does, from what Redis says is in force. */
async function render(folder: string, port: number, file: string, close: boolean): Promise<string> {
  await writeFile(
    join(folder, 'fleet.yaml'),
    stringify({ services: { 'main-backend': {}, 'ai-stack': {} } }),
  );
  const secrets = ['countersign-rotator', 'main-backend', 'ai-stack', 'countersign-acl'].map((item) => ({
    item,
    content: Buffer.from(`password of ${item}`).toString('base64'),
  }));
  const play = {
    hosts: 'redis',
    connection: 'local',
    gather_facts: false,
    vars_files: [`${role}/defaults/main.yml`, `${role}/vars/main.yml`],
    vars: {
      ...(close && { _redis_acl_default: '{{ _redis_acl_closed }}' }),
      countersign_sidecar_fleet: join(folder, 'fleet.yaml'),
      __redis_acl_passwords: { results: secrets },
      __redis_acl_list: {
        stdout_lines: (await ask(port, 'default', 'everybody', 'acl', 'list')).trim().split('\n'),
      },
      __redis_acl_lines: {
        content: Buffer.from(await readFile(file, 'utf8').catch(() => '')).toString('base64'),
      },
    },
    tasks: [{ 'ansible.builtin.template': { src: `${role}/templates/users.acl.j2`, dest: file } }],
  };
  await writeFile(join(folder, 'play.yml'), stringify([play]));
  const groups = {
    countersign_redis: { hosts: { redis: {} } },
    countersign_core: { hosts: { 'main-backend': {} } },
  };
  await writeFile(join(folder, 'hosts.yml'), stringify({ all: { children: groups } }));
  const env = { ...process.env, HOME: folder, ANSIBLE_LOCAL_TEMP: join(folder, 'tmp'), ANSIBLE_NOCOLOR: '1' };
  const { stdout } = await run('ansible-playbook', ['-i', 'hosts.yml', 'play.yml'], { cwd: folder, env });
  return stdout;
}

t.test(
  'the users of replicas, Sentinel, exporters and redis.conf survive, and only the default user ends',
  async (t) => {
    const folder = await tempFolder(t);
    const acl = join(folder, 'users.acl');
    await writeFile(join(folder, 'redis.conf'), before);
    const primary = await startRedis(t, [join(folder, 'redis.conf')]);
    const { port } = primary;
    const follower = await startRedis(
      t,
      ['--replicaof', '127.0.0.1', String(port), '--masteruser', 'follower', '--masterauth', 'following'],
      undefined,
      /Finished with success/,
    );
    const sentinel = await freePort();
    const conf = [
      `monitor main 127.0.0.1 ${port} 1`,
      'auth-user main watcher',
      'auth-pass main watching',
      'down-after-milliseconds main 2000',
    ];
    await writeFile(join(folder, 'sentinel.conf'), conf.map((line) => `sentinel ${line}\n`).join(''));
    await startRedis(t, [join(folder, 'sentinel.conf'), '--sentinel'], sentinel, /\+monitor/);

    await render(folder, port, acl, false);
    await primary.end('SIGTERM');
    // As prepare.yml leaves it: the users are in the ACL file alone.
    const closed = await startRedis(t, ['--aclfile', acl], port);
    t.match(await ask(port, 'default', 'everybody', 'ping'), 'PONG', 'at first everyone goes on');
    const again = await render(folder, port, acl, false);
    t.match(again, /changed=0/, 'rendered again, nothing changes, in whatever order Redis lists the rules');
    await render(folder, port, acl, true);
    t.match(await ask(port, 'countersign-acl', 'password of countersign-acl', 'acl', 'load'), 'OK');

    t.match(
      await ask(port, 'default', 'everybody', 'ping'),
      /WRONGPASS|NOAUTH/,
      'the default user has ended',
    );
    t.match(await ask(port, 'exporter', 'exporting', 'info', 'server'), 'redis_version');
    t.match(await ask(port, 'ai-stack', 'password of ai-stack', 'set', 'ai-stack:job', '1'), 'OK');
    t.match(await ask(port, 'ai-stack', 'password of ai-stack', 'hgetall', 'service:key:x'), 'NOPERM');
    // New connections of both, as after a restart.
    await closed.end('SIGTERM');
    await startRedis(t, ['--aclfile', acl], port);
    const follows = async () =>
      (await run('redis-cli', ['-p', String(follower.port), 'info', 'replication'])).stdout;
    while (!(await follows()).includes('master_link_status:up')) await pause(100);
    t.pass('a replica follows');
    const watches = async () => (await run('redis-cli', ['-p', String(sentinel), 'info', 'sentinel'])).stdout;
    while (!/status=ok,address=127\.0\.0\.1:\d+,slaves=1/.test(await watches())) await pause(100);
    t.pass('Sentinel finds primary and replica well');
  },
);
