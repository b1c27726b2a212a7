import t from 'tap';
import { type Attempts, afterLoss, choose, noAttempt } from '../../../sidecar/exchange/attempts.ts';
import type { Destination, Loss } from '../../../sidecar/exchange/ends.ts';

function host(address: string, changes: Partial<Destination> = {}): Destination {
  return {
    address,
    port: 15006,
    isReady: true,
    inFlight: 0,
    hops: { sealed: { sealed: true, host: address }, plain: { sealed: false, host: address } },
    unproven: undefined,
    open: () => {
      throw new Error('a decision opens nothing');
    },
    ...changes,
  };
}

const [one, two, three] = [host('10.0.0.1'), host('10.0.0.2'), host('10.0.0.3')];
const always = () => true;
const never = () => false;
const unreachable: Loss = { kind: 'unreachable', timedOut: false, error: 'ECONNREFUSED' };
const unanswered: Loss = { kind: 'unanswered', reused: true, error: undefined };
const resent: Attempts = { kind: 'resent' };

t.test('a host that can’t be connected to is tried once, then the others', async (t) => {
  const first = afterLoss(noAttempt, one, unreachable, always);
  t.strictSame(first, { step: 'choose-again', attempts: { kind: 'choosing', tried: [one] } });
  if (first.step !== 'choose-again') return;
  t.strictSame(afterLoss(first.attempts, two, unreachable, always), {
    step: 'choose-again',
    attempts: { kind: 'choosing', tried: [one, two] },
  });
});

t.test('a request without an answer is sent again once, if it may be', async (t) => {
  t.strictSame(afterLoss(noAttempt, one, unanswered, always), { step: 'resend', attempts: resent });
  t.strictSame(afterLoss(noAttempt, one, unanswered, never), { step: 'give-up' });
  t.strictSame(afterLoss(resent, one, unanswered, always), { step: 'give-up' });
  t.strictSame(afterLoss(resent, one, unreachable, always), { step: 'give-up' }, 'to no other host');
});

t.test('whether it may be sent again can depend on the connection', async (t) => {
  const ifReused = (reused: boolean) => reused;
  t.match(afterLoss(noAttempt, one, unanswered, ifReused), { step: 'resend' });
  t.match(afterLoss(noAttempt, one, { ...unanswered, reused: false }, ifReused), { step: 'give-up' });
});

t.test('an answer that has begun, takes too long or is malformed ends the call', async (t) => {
  const losses: Loss[] = [
    { kind: 'cut', error: 'ECONNRESET' },
    { kind: 'timed-out' },
    { kind: 'broken', detail: 'no status line' },
  ];
  for (const loss of losses) t.strictSame(afterLoss(noAttempt, one, loss, always), { step: 'give-up' });
});

t.test('a displaced request is signed again', async (t) => {
  t.strictSame(afterLoss(noAttempt, one, { kind: 'displaced' }, never), { step: 'sign-again' });
});

t.test(
  'a host that does not prove the pair key is asked about again, but a re-send leaves in no other way',
  async (t) => {
    const loss: Loss = { kind: 'unproven', failure: 'other-key' };
    t.strictSame(afterLoss(noAttempt, one, loss, always), { step: 'prepare-again' });
    const still = host('10.0.0.1', { unproven: 'other-key' });
    t.strictSame(afterLoss(resent, still, loss, always), { step: 'give-up' });
    t.strictSame(afterLoss(resent, one, loss, always), { step: 'resend', attempts: resent });
  },
);

t.test('of two hosts drawn at random the less busy one is chosen', async (t) => {
  const busy = host('10.0.0.4', { inFlight: 5 });
  t.equal(
    choose([busy, one], [], () => 0),
    one,
  );
  t.equal(
    choose([one, busy], [], () => 0),
    one,
  );
});

t.test('a host that was tried is not chosen again; one set aside only when no other is left', async (t) => {
  const aside = host('10.0.0.5', { isReady: false });
  for (const random of [0, 0.3, 0.6, 0.99]) {
    t.equal(
      choose([one, two, aside], [one], () => random),
      two,
    );
    t.equal(
      choose([one, aside], [one], () => random),
      aside,
    );
    t.not(
      choose([one, two, three], [three], () => random),
      three,
    );
  }
  t.equal(choose([one], [one], Math.random), undefined);
  t.equal(choose([one, two], [two, one], Math.random), undefined);
});
