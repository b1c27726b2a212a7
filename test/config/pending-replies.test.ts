import t from 'tap';
import { PendingReplies } from '../../config/pending-replies.ts';

t.test('each question gets its own reply, in whatever order they come', async (t) => {
  const pending = new PendingReplies<string>();
  const sent: number[] = [];
  const ask = () => pending.ask((id) => void sent.push(id));
  const [first, second, third] = [ask(), ask(), ask()];
  t.equal(new Set(sent).size, 3);
  t.equal(pending.size, 3);
  pending.refuse(sent[2] as number, new Error('no'));
  pending.resolve(sent[1] as number, 'b');
  pending.resolve(sent[0] as number, 'a');
  pending.resolve(sent[0] as number, 'again');
  t.equal(await first, 'a');
  t.equal(await second, 'b');
  await t.rejects(third, { message: 'no' });
  t.equal(pending.size, 0);
});

t.test('when the other thread is gone, every question is refused', async (t) => {
  const pending = new PendingReplies<string>();
  const asked = [1, 2].map(() => pending.ask(() => {}));
  pending.refuseAll(new Error('gone'));
  for (const reply of asked) await t.rejects(reply, { message: 'gone' });
  t.equal(pending.size, 0);
});
