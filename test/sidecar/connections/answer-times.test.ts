import t from 'tap';
import { AnswerTimes } from '../../../sidecar/connections/answer-times.ts';

function after(...answers: readonly (readonly [count: number, ms: number])[]): AnswerTimes {
  const times = new AnswerTimes();
  for (const [count, ms] of answers) for (let i = 0; i < count; i++) times.onAnswer(ms, true);
  return times;
}

t.test('sixty-four quick answers are steady', async (t) => {
  t.equal(after([63, 3]).areSteady, false);
  t.equal(after([64, 3]).areSteady, true);
});

t.test('a busy host is steady at its own pace', async (t) => {
  const busy = after([64, 60]);
  t.equal(busy.areSteady, true);
  t.equal(Math.round(busy.patienceMs), 240, 'and its requests wait longer behind others');
  t.equal(after([64, 3]).patienceMs, 25, 'than those of one that answers at once');
});

t.test('a host that usually takes long is not', async (t) => {
  const slow = after([1000, 150]);
  t.equal(slow.areSteady, false);
  t.equal(slow.patienceMs, 400);
});

t.test('a slow answer now and then changes nothing, many do', async (t) => {
  const times = after([128, 30]);
  times.onAnswer(500, true);
  t.equal(times.areSteady, true);
  for (let i = 0; i < 4; i++) times.onAnswer(2000, true);
  t.equal(times.areSteady, false);
});

t.test('one answer that took a minute is not usual', async (t) => {
  const times = after([128, 30]);
  times.onAnswer(60_000, true);
  t.ok(times.patienceMs < 150);
});

t.test('never sets in where every tenth answer is slow', async (t) => {
  const times = new AnswerTimes();
  for (let i = 0; i < 1000; i++) {
    times.onAnswer(i % 10 === 9 ? 1000 : 5, true);
    if (times.areSteady) t.fail(`steady after ${i} answers`);
  }
  t.pass();
});

t.test('begins again after an answer that streams, and after a request that was held up', async (t) => {
  const streaming = after([128, 3]);
  streaming.onAnswer(3, false);
  t.equal(streaming.areSteady, false);
  const held = after([128, 3]);
  held.onDelay();
  t.equal(held.areSteady, false);
  for (let i = 0; i < 64; i++) held.onAnswer(3, true);
  t.equal(held.areSteady, true);
});
