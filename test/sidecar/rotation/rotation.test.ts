import t from 'tap';
import type { RotationPhase, ServiceRoots } from '../../../sidecar/rotation/roots.ts';
import { nextAction, type Progress } from '../../../sidecar/rotation/rotation.ts';

const createdAt = '2026-11-01T00:00:00.000Z';
const root = (generation: number) => ({
  kid: `a/${generation}`,
  key: Buffer.alloc(32, generation),
  createdAt,
});
const previous = { ...root(1), notAfter: '2026-11-24T00:00:00.000Z' };

const decide = (roots: ServiceRoots, phase: RotationPhase, progress: Progress = 'none') =>
  nextAction(
    {
      services: new Map([['a', roots]]),
      rotation: { id: '1', services: ['a'], startedAt: createdAt, phase },
    },
    progress,
  );

t.test('stage, deliver, probe, switch, deliver, probe, promote, deliver, finish', async (t) => {
  const both = { current: root(1), pending: root(2) };
  const done = { current: root(2), previous };
  t.strictSame(decide({ current: root(1) }, 'staging'), { kind: 'stage', services: ['a'] });
  t.strictSame(decide(both, 'staging'), { kind: 'deliver' });
  t.strictSame(decide(both, 'staging', 'delivered'), { kind: 'probe' });
  t.strictSame(decide(both, 'staging', 'probed'), { kind: 'advance', to: 'switching' });
  t.strictSame(decide(both, 'switching'), { kind: 'deliver' });
  t.strictSame(decide(both, 'switching', 'delivered'), { kind: 'probe' });
  t.strictSame(decide(both, 'switching', 'probed'), { kind: 'advance', to: 'promoting' });
  t.strictSame(decide(both, 'promoting'), { kind: 'promote', services: ['a'] });
  t.strictSame(decide(done, 'promoting'), { kind: 'advance', to: 'retiring' });
  t.strictSame(decide(done, 'retiring'), { kind: 'deliver' });
  t.strictSame(decide(done, 'retiring', 'delivered'), { kind: 'finish' });
});

t.test('goes on with what was cut short, and with a service that was revoked meanwhile', async (t) => {
  t.strictSame(
    decide({ current: root(2), previous, pending: root(2) }, 'promoting'),
    { kind: 'promote', services: ['a'] },
    'a promotion that was cut short is finished',
  );
  t.strictSame(decide({}, 'staging', 'probed'), { kind: 'advance', to: 'switching' });
  t.strictSame(nextAction({ services: new Map() }, 'none'), { kind: 'finish' });
});
