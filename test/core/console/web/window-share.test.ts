import t from 'tap';
import type { Message } from '../../../../core/console/web/api.ts';
import { shareOf } from '../../../../core/console/web/window-share.ts';

const said = (
  position: number,
  role: string,
  tokens: number | null,
  rest: Partial<Message> = {},
): Message => ({
  position,
  role,
  tokens,
  content: 'x',
  state: 'complete',
  model: null,
  created_at: '2026-01-01T00:00:00.000Z',
  ...rest,
});
const answer = (position: number, sent: number, of: number, prompt: number) =>
  said(position, 'assistant', 5, {
    context: {
      messages: { sent, of },
      tokens: { prompt, window: 100, max_output: 10 },
      tokenizer: 'estimate',
      summarized: false,
    },
  });

t.test(
  'the newest messages were kept, those before were left out, later ones are no part of it',
  async (t) => {
    const messages = [
      said(1, 'user', 40),
      said(2, 'assistant', 30),
      said(3, 'user', 8),
      said(4, 'assistant', 5),
      said(5, 'user', 9),
    ];
    t.strictSame(shareOf(answer(4, 1, 3, 20), messages), {
      beside: 12,
      kept: [{ label: '3 user', tokens: 8 }],
      leftOut: [
        { label: '1 user', tokens: 40 },
        { label: '2 assistant', tokens: 30 },
      ],
      leftOutTokens: 70,
      leftOutUncounted: 0,
    });
  },
);

t.test('says how many of those left out are not loaded, or were never counted', async (t) => {
  const messages = [said(98, 'assistant', null), said(99, 'user', 8)];
  t.match(shareOf(answer(100, 1, 99, 8), messages), { beside: 0, leftOut: [], leftOutUncounted: 98 });
  t.equal(shareOf(said(1, 'user', 3), messages), undefined, 'only answers have a window');
});
