import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import t from 'tap';

const from = (path: string) => JSON.stringify(new URL(`../../bench/${path}`, import.meta.url).href);

/** What the bench has open while it measures: a folder, the app, a generator and a peer. */
const program = `
import { Stage } from ${from('stage.ts')};
import { splice } from ${from('peers/splice.ts')};
const stage = await Stage.open();
const { folder } = await stage.place();
const { pids, port } = await stage.start(splice);
await stage.generators.open({ port, dialect: 'plain', identity: stage.identity, connections: 4, perSecond: 0,
  call: { method: 'GET', path: '/', query: '', body: 0, fields: 5, headBytes: 0 } });
console.log(JSON.stringify({ folder, pids: [...pids, ...stage.generators.pids] }));
if (process.argv[1] === 'throws') throw new Error('something broke');
setInterval(() => {}, 1000);
`;

/** Whether a process runs; one that was killed and that nobody has waited for yet does not. */
const lives = (pid: number) => {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

for (const how of ['SIGINT', 'SIGTERM', 'SIGHUP', 'throws'] as const)
  t.test(`a bench that ends by ${how} leaves no folder and no process behind`, async (t) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, how], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    t.teardown(() => child.kill('SIGKILL'));
    const exited = once(child, 'exit');
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const { folder, pids } = JSON.parse(line) as { folder: string; pids: number[] };
    t.equal(pids.length > 1, true);
    if (how !== 'throws') {
      t.ok(existsSync(folder));
      child.kill(how);
    }
    const [code] = await exited;
    t.not(code, 0);
    t.notOk(existsSync(folder), 'no folder');
    // The signal is on its way to them.
    for (let i = 0; i < 200 && pids.some(lives); i++) await new Promise((resolve) => setTimeout(resolve, 10));
    t.same(pids.filter(lives), [], 'no process');
  });
