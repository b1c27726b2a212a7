import t from 'tap';
import { countsOf, limitMinutes, minutesFor, type Step, steps } from '../../tools/ci-steps.ts';

const step: Step = { name: 'test', minutes: 20, command: ['true'] };
const ended = { code: 0, cutOff: false, output: 'ok\n12 passed, 0 failed\n' };

t.test('takes the last line of counts', async (t) => {
  t.same(countsOf(step, ended), { passed: 12, failed: 0, skipped: 0, problems: [] });
  const twice = { ...ended, output: '1 passed, 1 failed\n7 passed, 0 failed, 2 skipped\n' };
  t.same(countsOf(step, twice), { passed: 7, failed: 0, skipped: 2, problems: [] });
});

t.test('a step that was cut off, crashed, said nothing or ran nothing has failed', async (t) => {
  const failed = (changes: Partial<typeof ended>) => countsOf(step, { ...ended, ...changes });
  t.match(failed({ cutOff: true, code: 1 }), { failed: 1, problems: [/cut off after 20 minutes/] });
  t.match(failed({ output: 'all is well\n' }), { failed: 1, problems: [/printed no line/] });
  t.match(failed({ output: 'x 12 passed, 0 failed\n' }), { failed: 1 }, 'only a line of its own counts');
  t.match(failed({ output: '0 passed, 0 failed\n' }), { failed: 1, problems: [/ran no test/] });
  t.match(failed({ code: 3 }), { passed: 12, failed: 1, problems: [/exit code 3/] });
  t.match(failed({ code: 1, output: '3 passed, 2 failed\n' }), { passed: 3, failed: 2, problems: [] });
});

t.test('the steps fit into the limit, with ten minutes of set-up', async (t) => {
  const sum = steps.reduce((minutes, one) => minutes + one.minutes, 0);
  t.equal(sum + 10, limitMinutes);
  t.equal(minutesFor(step, 0), 20);
  t.equal(minutesFor(step, limitMinutes - 3), 3);
  t.equal(minutesFor(step, limitMinutes + 3), 0);
});
