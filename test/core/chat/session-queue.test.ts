import fc from 'fast-check';
import t from 'tap';
import { SessionQueue } from '../../../core/chat/session-queue.ts';

const never = new AbortController().signal;

t.test(
  'whatever comes and gives up, one turn of a session runs at a time, in the order of arrival',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.record({ session: fc.constantFrom('a', 'b'), givesUp: fc.boolean() }), { maxLength: 12 }),
        async (scheduler, arrivals) => {
          const queue = new SessionQueue();
          const running = new Map<string, number>();
          const order: Record<string, number[]> = { a: [], b: [] };
          let overlapped = false;
          const turns = arrivals.map(async ({ session, givesUp }, index) => {
            const controller = new AbortController();
            if (givesUp)
              void scheduler.schedule(Promise.resolve()).then(() => controller.abort(new Error('gone')));
            const leave = await queue.enter(session, controller.signal).catch(() => undefined);
            if (leave === undefined) return;
            running.set(session, (running.get(session) ?? 0) + 1);
            overlapped ||= running.get(session) !== 1;
            order[session]?.push(index);
            await scheduler.schedule(Promise.resolve());
            running.set(session, (running.get(session) ?? 0) - 1);
            leave();
          });
          await scheduler.waitFor(Promise.all(turns));
          await queue.whenIdle();
          const sorted = Object.values(order).every((seen) =>
            seen.every((n, i) => i === 0 || n > (seen[i - 1] ?? -1)),
          );
          return !overlapped && sorted;
        },
      ),
    );
  },
);

t.test('an aborted signal does not wait at all', async (t) => {
  const queue = new SessionQueue();
  await queue.enter('s', never);
  await t.rejects(queue.enter('s', AbortSignal.abort(new Error('gone before'))), { message: 'gone before' });
});
