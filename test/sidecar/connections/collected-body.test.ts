import fc from 'fast-check';
import t from 'tap';
import { CollectedBody } from '../../../sidecar/connections/collected-body.ts';
import { ReadBuffer } from '../../../sidecar/connections/read-buffer.ts';

const piece = (buffer: Buffer, at: number, end: number) =>
  Object.assign(new ReadBuffer(), { buffer, at, end });

t.test('a body is the same in whatever pieces it comes, and whoever wrote them into its room', async (t) => {
  const holds = fc.check(
    fc.property(
      fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 4090, max: 6000 })),
      fc.array(fc.record({ bytes: fc.nat(2000), before: fc.nat(5), inRoom: fc.boolean() }), {
        maxLength: 20,
      }),
      fc.nat(20),
      (bytes, cuts, behind) => {
        const body = Buffer.from(Array.from({ length: bytes }, (_, i) => i % 251));
        const wire = Buffer.concat([body, Buffer.alloc(behind, 0xee)]);
        let whole: Buffer | undefined;
        const collected = new CollectedBody(body.length, (all) => {
          whole = all;
        });
        let at = 0;
        for (const cut of [...cuts, { bytes: wire.length, before: 0, inRoom: false }]) {
          if (collected.ended) break;
          if (cut.inRoom) {
            const { room } = collected;
            const length = Math.min(cut.bytes, room.length);
            wire.copy(room, 0, at, at + length);
            collected.use(piece(room, 0, length));
            at += length;
          } else {
            const end = Math.min(wire.length, at + cut.bytes);
            const shared = Buffer.concat([Buffer.alloc(cut.before, 0xdd), wire.subarray(at, end)]);
            const unread = piece(shared, cut.before, shared.length);
            collected.use(unread);
            at += unread.at - cut.before;
          }
        }
        collected.onEnd();
        return collected.ended && at === body.length && whole?.equals(body) === true;
      },
    ),
  );
  t.notOk(holds.failed, JSON.stringify(holds.counterexample));
});

t.test('the room is what is missing and not a byte more', async (t) => {
  const collected = new CollectedBody(10, () => {});
  t.equal(collected.room.length, 10);
  collected.use(piece(Buffer.from('..abc'), 2, 5));
  t.equal(collected.room.length, 7);
});
