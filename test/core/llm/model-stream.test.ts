import { PassThrough } from 'node:stream';
import t from 'tap';
import { ModelStream } from '../../../core/llm/model-stream.ts';

const operation = { chunk() {}, end() {} };

const told = (choice: object, more: object = {}) =>
  `data: ${JSON.stringify({ object: 'chat.completion.chunk', choices: [{ index: 0, ...choice }], ...more })}\n\n`;
const word = (content: string) => told({ delta: { content }, finish_reason: null });
const ended = `${told({ delta: {}, finish_reason: 'stop' })}data: [DONE]\n\n`;

/** What a reader gets of an answer that comes in these reads. */
async function read(...reads: string[]): Promise<{ plain: string[]; events: string[] }> {
  const body = new PassThrough();
  const stream = new ModelStream(body, 'ai-stack', (error) => error as Error, operation);
  const plain: string[] = [];
  const events: string[] = [];
  const whole = stream.read({
    plain: (bytes) => void plain.push(Buffer.from(bytes).toString()),
    events: (data) => void events.push(...data),
  });
  for (const bytes of reads) {
    body.write(bytes);
    await new Promise(setImmediate);
  }
  body.end();
  await whole;
  return { plain, events };
}

t.test('whole events of text pass as they came', async (t) => {
  const { plain, events } = await read(word('a'), word('b') + word('c'), ended);
  t.strictSame(plain, [word('a'), word('b') + word('c')]);
  t.equal(events.length, 1, 'the one with the finish_reason');
});

for (const [title, event] of [
  ['what the answer cost', told({}, { usage: { prompt_tokens: 1 } })],
  ['a failure', 'data: {"error": {"message": "out of memory"}}\n\n'],
  ['how the answer ends', told({ delta: {}, finish_reason: 'length' })],
  ['what is no object', 'data: oops\n\n'],
  ['other line ends', word('a').replaceAll('\n', '\r\n')],
  ['comments', `: ping\n\n${word('a')}`],
] as const) {
  t.test(`${title} is parsed`, async (t) => {
    const { plain, events } = await read(event, ended);
    t.strictSame(plain, []);
    t.equal(events.length, 2);
  });
}

t.test('an event in two reads is put together', async (t) => {
  const text = word('aé');
  const { plain, events } = await read(text.slice(0, 20), text.slice(20) + word('b'), word('c'), ended);
  t.strictSame(plain, [word('c')]);
  t.match(events, [/aé/, /"b"/, /stop/]);
});

t.test('waits for a reader that has no room', async (t) => {
  const body = new PassThrough();
  const stream = new ModelStream(body, 'ai-stack', (error) => error as Error, operation);
  const { promise: room, resolve: make } = Promise.withResolvers<void>();
  let taken = 0;
  const whole = stream.read({ events: () => (++taken === 1 ? room : undefined) });
  body.write(word('a'));
  await new Promise(setImmediate);
  t.ok(body.isPaused());
  body.end(word('b') + ended);
  await new Promise(setImmediate);
  t.equal(taken, 1);
  make();
  await whole;
  t.equal(taken, 2);
});

t.test('an answer without [DONE] is interrupted', async (t) => {
  await t.rejects(read(word('a')), { code: 'model_interrupted' });
});
