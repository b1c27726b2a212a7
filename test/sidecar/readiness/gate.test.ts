import fc from 'fast-check';
import t from 'tap';
import { type Gate, gatePurpose, macOf } from '../../../sidecar/readiness/gate.ts';
import { gateProblems, parseGate } from '../../../sidecar/readiness/verify-gate.ts';

const key = Buffer.alloc(32, 9);
const hour = 3_600_000;
const now = Date.parse('2026-11-23T12:00:00Z');

function gate(changes: Partial<Gate> = {}): Gate {
  const body = {
    purpose: gatePurpose as typeof gatePurpose,
    created: new Date(now - hour).toISOString(),
    expires: new Date(now + hour).toISOString(),
    matrix: 'm',
    fleet: 'f',
    enforcing: ['e'],
    sidecars: [
      {
        service: 'a',
        host: '127.0.0.1',
        build: 'b',
        logging_seconds: 90_000,
        gathered_at: new Date(now - hour).toISOString(),
        outbound: { b: 'a/1' },
        inbound: { b: ['b/1'] },
      },
    ],
    calls: [{ caller: 'b', callee: 'a', calls: 7, allowed: 7 }],
    sealed: [],
    seen: [{ caller: 'b', callee: 'a', method: 'GET', path: '/x/*' }],
    skew: [],
    ...changes,
  } satisfies Omit<Gate, 'mac'>;
  return { ...body, mac: macOf(body, key) };
}

const check = (text: string, nowMs = now) => gateProblems({ text, key, enforcing: ['e'], states: [], nowMs });

t.test('no change of a single character passes', async (t) => {
  const text = JSON.stringify(gate());
  t.same(check(text), []);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 1 }), (at, character) => {
      const changed = text.slice(0, at) + character + text.slice(at + 1);
      if (changed === text) return;
      const problems = check(changed);
      // Base64 has spare bits at its end: another text, the same MAC.
      const mac = parseGate(changed);
      if (typeof mac !== 'string' && sameBytes(mac.mac, gate().mac)) return;
      if (problems.length === 0) throw new Error(`passes: ${changed}`);
    }),
    { numRuns: 2000 },
  );
});

t.test('any text is a gate file or is told why not, never a fault', async (t) => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => check(text).length > 0));
  t.pass();
});

t.test('a rightly signed file must still be for today, for a day at most', async (t) => {
  const iso = (ms: number) => new Date(ms).toISOString();
  t.match(check(JSON.stringify(gate()), now + 2 * hour), [/expired at/]);
  t.match(check(JSON.stringify(gate({ created: iso(now + hour) }))), [/made in the future/]);
  t.match(check(JSON.stringify(gate({ created: iso(now - 24 * hour) }))), [/more than 24 h/]);
});

t.test('keys of another purpose or length do not verify', async (t) => {
  const text = JSON.stringify(gate());
  for (const other of [Buffer.alloc(32, 8), Buffer.alloc(0), Buffer.alloc(33, 9)])
    t.match(gateProblems({ text, key: other, enforcing: ['e'], states: [], nowMs: now }), [/MAC/]);
});

function sameBytes(one: string, two: string): boolean {
  return Buffer.from(one, 'base64').equals(Buffer.from(two, 'base64'));
}
