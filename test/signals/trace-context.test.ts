import t from 'tap';
import { childOf, continueTrace, traceparentOf } from '../../signals/trace-context.ts';

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const parent = '00f067aa0ba902b7';

t.test('continues a sampled trace with a span of its own below the parent', async (t) => {
  const span = continueTrace(`00-${trace}-${parent}-01`);
  t.match(span, { traceId: trace, parentId: parent, spanId: /^[0-9a-f]{16}$/, flags: 1 });
  t.not(span?.spanId, parent);
  t.equal(traceparentOf(span!), `00-${trace}-${span!.spanId}-01`);
  const child = childOf(span!);
  t.match(child, { traceId: trace, parentId: span!.spanId });
  t.not(child.spanId, span!.spanId);
});

t.test('keeps the random flag, and no flag that it does not know', async (t) => {
  t.equal(continueTrace(`00-${trace}-${parent}-ff`)?.flags, 3);
  t.equal(continueTrace(`00-${trace}-${parent}-03`)?.flags, 3);
});

t.test('a later version is read as far as this one goes, and answered in this one', async (t) => {
  for (const further of ['', '-what-comes']) {
    const span = continueTrace(`cc-${trace}-${parent}-01${further}`);
    t.match(traceparentOf(span!), /^00-/);
  }
});

t.test('leaves alone what is not sampled or not valid', async (t) => {
  for (const text of [
    undefined,
    '',
    `00-${trace}-${parent}-00`,
    `00-${trace}-${parent}-02`,
    `ff-${trace}-${parent}-01`,
    `00-${trace}-${parent}-01-more`,
    `cc-${trace}-${parent}-01more`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${parent}-01`,
    `00-${trace}-${parent}-1`,
    `0-${trace}-${parent}-01`,
    `00-${trace.slice(1)}-${parent}-01`,
    ` 00-${trace}-${parent}-01`,
    `00-${trace}-${parent}-01\n`,
    `00-${trace}-${parent}-01, 00-${trace}-${parent}-01`,
  ])
    t.equal(continueTrace(text), undefined, JSON.stringify(text));
});
