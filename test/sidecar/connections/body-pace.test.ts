import t from 'tap';
import { BodyPace } from '../../../sidecar/connections/body-pace.ts';

t.test('ten seconds are free, then each ten must bring 10 KiB', async (t) => {
  const pace = new BodyPace(1_000);
  t.equal(pace.endsAtMs, 11_000);
  t.notOk(pace.isTooSlow(10_999), 'nothing has come, and it is too early to say');
  t.ok(pace.isTooSlow(11_000));
  pace.add(10_239);
  t.ok(pace.isTooSlow(11_000));
  pace.add(1);
  t.notOk(pace.isTooSlow(11_000));
  t.equal(pace.endsAtMs, 21_000);
});

t.test('a burst does not pay for the time after it', async (t) => {
  const pace = new BodyPace(0);
  pace.add(1024 ** 3);
  t.notOk(pace.isTooSlow(10_000));
  pace.add(100);
  t.ok(pace.isTooSlow(20_000));
});

t.test('time in which the app took nothing is not counted', async (t) => {
  const pace = new BodyPace(0);
  pace.restart(60_000);
  t.notOk(pace.isTooSlow(69_999));
  t.ok(pace.isTooSlow(70_000));
});
