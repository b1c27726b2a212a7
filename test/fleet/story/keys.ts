import { essence, rotatorHost, type Story } from './context.ts';

/** Keys change under traffic; a host that can't be reached stops that before anybody signs with a new one. */
export async function rotate(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('rotate-keys.yml under traffic');
  const from = Date.now();
  await story.play('rotate-keys');
  report.equal(await generations(story), '2', 'everybody signs with generation 2');
  await story.noneLost(from, 'the rotation');
  const timer = await fleet.ssh(rotatorHost, 'systemctl is-active countersign-rotate-due.timer; true');
  report.equal(timer.trim(), 'active', 'the timer that looks for due keys runs');
  await fleet.ssh(rotatorHost, 'systemctl start countersign-rotate-due.service');
  report.equal(await generations(story), '2', 'what the timer starts finds no key due');

  report.chapter('rotation with a host that cannot be reached');
  const lonely = fleet.guest('browser-service');
  const cut = Date.now();
  await fleet.network.cable(lonely.address, 'down');
  const played = await fleet.play('rotate-keys');
  report.check(played.status !== 0, 'the rotation stops');
  report.check(
    played.stdout.includes(lonely.address) || played.stdout.includes(lonely.name),
    'and names the host',
    played.stdout,
  );
  const others = await generations(story, lonely.name);
  report.equal(others, '2', 'no signer has switched');
  const alarm = await fleet.ssh(rotatorHost, 'journalctl --no-pager -p crit -t countersign-alarm -o cat');
  report.check(alarm.includes('countersign-rotate.service'), 'the alarm was raised', alarm);
  await fleet.network.cable(lonely.address, 'up');
  await story.flow(3_000);
  await story.noneLost(cut, 'the stopped rotation, between the hosts that were there', (caller, callee) =>
    [caller, callee].includes(lonely.name),
  );
  const resumed = Date.now();
  await fleet.ssh(rotatorHost, 'systemctl start countersign-rotate-due.service', { limitMs: 120_000 });
  report.equal(await generations(story), '3', 'what the timer starts goes on with it: generation 3');
  await story.noneLost(resumed, 'the resumed rotation');
}

/** Redis is closed: to each its own, and the root keys to the rotator. */
export async function closeRedis(story: Story): Promise<void> {
  const { report, fleet } = story;
  report.chapter('phase-3-redis-acl.yml');
  const open = await redis(story, '', 'hgetall service:key:ai-stack');
  report.check(open.includes('kid'), 'before, anybody reads root keys', open);
  report.check((await chat(story)).includes('"chat.completion"'), 'the core chats, with its memory in Redis');
  report.check((await redis(story, '', 'keys chat:*')).includes('chat:'), 'and remembers there');
  await rehearse(story);
  const from = Date.now();
  await story.play('phase-3-redis-acl');
  const again = await story.play('phase-3-redis-acl');
  report.equal(again.changed, 0, 'a second phase-3-redis-acl.yml changes nothing');
  report.check(
    (await redis(story, '', 'hgetall service:key:ai-stack')).includes('NOAUTH'),
    'the default user is off',
  );
  report.check(
    (await redis(story, 'npu-worker', 'set npu-worker:job 1')).includes('OK'),
    'a service reaches its own keys',
  );
  for (const [user, command] of [
    ['npu-worker', 'get ai-stack:job'],
    ['npu-worker', 'get chat:{1}:window'],
    ['npu-worker', 'hgetall service:key:npu-worker'],
    ['main-backend', 'hgetall service:key:main-backend'],
    ['npu-worker', 'keys *'],
    ['npu-worker', 'config get dir'],
    ['countersign-rotator', 'get chat:{1}:window'],
  ] as const) {
    const said = await redis(story, user, command);
    report.check(said.includes('NOPERM'), `${user} is refused: ${command}`, said);
  }
  report.check(
    (await redis(story, 'countersign-rotator', 'hgetall service:key:ai-stack')).includes('kid'),
    'the rotator reads root keys',
  );
  report.check(
    (await redis(story, 'exporter', 'info server')).includes('redis_version'),
    'a user that was in redis.conf before still works',
  );
  report.check((await chat(story)).includes('"chat.completion"'), 'the core chats on');
  const health = async () =>
    (await fleet.ssh('main-backend', python(`print(urlopen("${core}/health").read().decode())`))).trim();
  report.check(
    await story.until(10_000, async () => !(await health()).includes('degraded')),
    'with Redis, as its own user',
    await health(),
  );
  const log = await fleet.ssh(
    'main-backend',
    `journalctl --no-pager -u countersign-core -o cat --since @${Math.floor(from / 1000)} | grep -c 'Redis refused'; true`,
  );
  report.equal(log.trim(), '0', 'and needs no right that it has not');
  await story.noneLost(from, 'closing Redis');
  const rotating = Date.now();
  const before = Number(await generations(story));
  await story.play('rotate-keys');
  report.equal(
    await generations(story),
    String(before + 1),
    'the rotator rotates with its own user: the next generation',
  );
  await story.noneLost(rotating, 'that rotation');
}

/** Nobody is locked out unannounced: phase 3 wants a day in which no one used the default user. */
async function rehearse(story: Story): Promise<void> {
  const { report, fleet } = story;
  const early = await fleet.play('phase-3-redis-acl');
  report.check(
    early.status !== 0 && /Redis stays open: .*recorded for 0\.\d h/.test(early.stdout),
    'phase 3 refuses without a day of records',
    essence(early),
  );
  // A forgotten job, on a host whose service has a user.
  const job = `exec 3<>/dev/tcp/172.16.168.23/6379; printf 'LPUSH frontend:job 1\\r\\n' >&3; sleep 25`;
  const working = fleet.ssh('frontend', `bash -c "${job}"`);
  await story.flow(22_000);
  await ageRecords(story, 'keep');
  const used = await fleet.play('report-redis');
  report.check(
    used.stdout.includes('default is used by client 172.16.168.21 (lpush)') &&
      used.stdout.includes('it can be frontend'),
    'the rehearsal names who uses the default user, and that its own would do',
    used.stdout,
  );
  await working;
  // The day after, in which nobody did.
  await ageRecords(story, 'forget');
}

/** A story cannot wait for a day: the records say that they began yesterday. */
async function ageRecords(story: Story, seen: 'keep' | 'forget'): Promise<void> {
  const forget = seen === 'forget' ? 's["seen"] = {}; s["unseen"] = []; ' : '';
  const script =
    'import json; f = "/var/lib/countersign-redis/rehearsal.json"; s = json.load(open(f)); ' +
    `s["since"] = s["last"] - 86500; ${forget}json.dump(s, open(f, "w"))`;
  await story.fleet.ssh('redis-stack', `python3 -c '${script}'`);
}

const core = 'http://127.0.0.1:8001';

/** A turn of a session with the core, which asks ai-stack through two sidecars. */
function chat(story: Story): Promise<string> {
  const body = JSON.stringify({
    model: 'qwen2.5-coder-7b-instruct',
    messages: [{ role: 'user', content: 'Who are you?' }],
  });
  const fields = JSON.stringify({ 'content-type': 'application/json', 'x-session-id': 'fleet-test' });
  const ask = `print(urlopen(Request("${core}/v1/chat/completions", ${JSON.stringify(body)}.encode(), ${fields})).read().decode())`;
  return story.fleet.ssh('main-backend', python(ask));
}

function python(statement: string): string {
  return `python3 - <<'EOF'\nfrom urllib.request import Request, urlopen\n${statement}\nEOF`;
}

async function generations(story: Story, except?: string): Promise<string> {
  const names = story.names.filter((name) => name !== except);
  const all = await Promise.all(names.map((name) => story.status(name)));
  const found = all.flatMap(({ keys }) =>
    Object.values(keys.outbound).map(({ kid }) => kid.split('/')[1] ?? ''),
  );
  return [...new Set(found)].sort().join(' ');
}

async function redis(story: Story, user: string, command: string): Promise<string> {
  const login =
    user === ''
      ? ''
      : `REDISCLI_AUTH=$(cat /etc/redis/countersign/${user}.password 2>/dev/null || echo old-secret) redis-cli --user ${user} ${command}`;
  const { stdout, stderr } = await story.fleet.trySsh(
    'redis-stack',
    login === '' ? `redis-cli ${command}` : login,
  );
  return stdout + stderr;
}
