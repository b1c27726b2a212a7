import fc from 'fast-check';
import t from 'tap';
import { checkJsonBounds, maxJsonDepth, maxJsonKeys } from '../../../core/http/json-bounds.ts';
import { startTestCore } from '../../support/core-service.ts';

const withKeys = (count: number) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 1])));
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

t.test('counts keys and depth, but nothing inside of strings', async (t) => {
  checkJsonBounds(withKeys(maxJsonKeys));
  t.throws(() => checkJsonBounds(withKeys(maxJsonKeys + 1)), { code: 'invalid_request', param: 'body' });
  checkJsonBounds(nested(maxJsonDepth));
  t.throws(() => checkJsonBounds(nested(maxJsonDepth + 1)), { code: 'invalid_request' });
  checkJsonBounds(JSON.stringify({ text: `${'{[":'.repeat(maxJsonKeys)}\\"` }));
  for (const broken of ['"', '"\\', '{"a', ']]]]', '']) checkJsonBounds(broken);
});

t.test('accepts whatever JSON stays within the bounds', async () => {
  fc.assert(fc.property(fc.json({ maxDepth: 20 }), (text) => checkJsonBounds(text)));
});

t.test('a body with 300,000 unknown keys, too deep, or with too many messages is a 400', async (t) => {
  const core = await startTestCore(t);
  const message = '{"role":"user","content":"x"}';
  const many = `{"messages":[${message}],"more":${withKeys(300_000)}}`;
  const deep = `{"messages":[${message}],"more":${nested(10_000)}}`;
  const long = `{"messages":[${Array(10_001).fill(message).join()}]}`;
  for (const [body, param] of [
    [many, 'body'],
    [deep, 'body'],
    [long, 'messages'],
  ] as const) {
    const response = await core.fetch('/v1/chat/completions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    t.equal(response.status, 400);
    t.match(await response.json(), { error: { code: 'invalid_request', param } });
  }
  t.equal(core.model.calls.length, 0);
});
