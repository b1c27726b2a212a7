import fc from 'fast-check';
import t from 'tap';
import { CallerLimits } from '../../../core/limits/caller-limits.ts';
import { TokenBucket } from '../../../core/limits/token-bucket.ts';
import { form } from '../../support/core-files.ts';
import { startTestCore } from '../../support/core-service.ts';

const frontend = { 'x-service-id': 'frontend' };

t.test('a bucket never lets through more than its rate and one burst', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.nat(10_000), { maxLength: 200 }),
      (perMinute, steps) => {
        const bucket = new TokenBucket(perMinute, 0);
        let now = 0;
        let passed = 0;
        for (const step of steps) {
          now += step;
          if (bucket.waitMs(now) > 0) continue;
          bucket.take(1, now);
          passed++;
        }
        return passed <= perMinute + (now / 60_000) * perMinute + 1;
      },
    ),
  );
});

t.test('after the told time there is room again, and callers do not share theirs', async (t) => {
  let now = 0;
  const limits = new CallerLimits(
    { requests_per_minute: 2, callers: { big: { requests_per_minute: 3 } } },
    () => now,
  );
  limits.request('a');
  limits.request('a');
  t.throws(() => limits.request('a'), { code: 'rate_limit_exceeded', retryAfterSeconds: 30 });
  limits.request('b');
  for (let n = 0; n < 3; n++) limits.request('big');
  t.throws(() => limits.request('big'), { code: 'rate_limit_exceeded' });
  now = 30_000;
  limits.request('a');
});

t.test('requests over the rate are refused in the shape that clients expect; health never', async (t) => {
  const core = await startTestCore(t, { limits: { callers: { frontend: { requests_per_minute: 2 } } } });
  const statuses: number[] = [];
  for (let n = 0; n < 3; n++) statuses.push((await core.fetch('/api/chats', { headers: frontend })).status);
  t.strictSame(statuses, [200, 200, 429]);
  const refused = await core.fetch('/api/chats', { headers: frontend });
  t.ok(Number(refused.headers.get('retry-after')) >= 1);
  t.match(await refused.json(), {
    error: { code: 'rate_limit_exceeded', type: 'rate_limit_error', message: /2 requests per minute/ },
  });
  t.equal((await core.fetch('/health', { headers: frontend })).status, 200);
  t.equal((await core.fetch('/api/chats', { headers: { 'x-service-id': 'other' } })).status, 200);
});

t.test('tokens, parallel turns and stored bytes are limited per caller', async (t) => {
  const core = await startTestCore(t, {
    limits: {
      callers: {
        tokens: { tokens_per_minute: 2 },
        turns: { parallel_turns: 1 },
        bytes: { stored_bytes: 10 },
      },
    },
  });
  // What a turn takes is more than a minute gives: the next one waits for several.
  t.equal((await core.say('s', 'hi', { 'x-service-id': 'tokens' })).status, 200);
  const spent = await core.say('s', 'hi', { 'x-service-id': 'tokens' });
  t.match([spent.status, await spent.json()], [429, { error: { message: /2 tokens per minute/ } }]);

  const calling = core.model.nextCall();
  core.model.behaviour = () => {};
  const client = new AbortController();
  const turns = { 'x-service-id': 'turns' };
  const first = core.say('s1', 'hi', turns).catch(() => undefined);
  const call = await calling;
  const second = await core.say('s2', 'hi', turns);
  t.match([second.status, await second.json()], [429, { error: { message: /1 turns at a time/ } }]);
  call.chunk({ content: 'x' });
  call.response.destroy();
  await first;
  client.abort();

  const upload = () =>
    core.fetch('/api/files', {
      method: 'POST',
      headers: { 'x-service-id': 'bytes' },
      body: form('0123456789', 'a.txt'),
    });
  t.equal((await upload()).status, 201);
  const full = await upload();
  t.match([full.status, await full.json()], [429, { error: { message: /10 stored bytes/ } }]);
});
