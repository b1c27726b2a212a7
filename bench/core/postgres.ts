import { execFile } from 'node:child_process';
import { chown, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';

const run = promisify(execFile);
const packaged = '/usr/lib/postgresql';
const user = 'countersign';

/** PostgreSQL refuses to run as root. */
function asPostgres(program: string, args: readonly string[]): [string, string[]] {
  if (process.getuid?.() !== 0) return [program, [...args]];
  return ['setpriv', ['--reuid=postgres', '--regid=postgres', '--clear-groups', program, ...args]];
}

/** Makes the data of a server of Debian's package in a folder, and says how to start it. */
export async function preparePostgres(
  folder: string,
  port: number,
): Promise<{ readonly command: string; readonly args: string[]; readonly url: string }> {
  const [version] = (await readdir(packaged)).sort((a, b) => Number(b) - Number(a));
  const bin = join(packaged, version ?? '', 'bin');
  const data = join(folder, 'postgres');
  await mkdir(data, { mode: 0o700 });
  if (process.getuid?.() === 0) {
    const ids = await run('sh', ['-c', 'id -u postgres; id -g postgres']);
    const [uid = '', gid = ''] = ids.stdout.split('\n');
    await chown(data, Number(uid), Number(gid));
  }
  const initialise = ['-D', data, '-U', user, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'];
  await run(...asPostgres(join(bin, 'initdb'), initialise), { cwd: '/' });
  const serve = ['-D', data, '-p', String(port), '-k', data, '-h', '127.0.0.1'];
  const [command, args] = asPostgres(join(bin, 'postgres'), serve);
  return { command, args, url: `postgres://${user}@127.0.0.1:${port}/postgres` };
}

/** Runs statements on the server. */
export async function queryPostgres<Row>(
  url: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text, [...values])).rows as Row[];
  } finally {
    await client.end();
  }
}
