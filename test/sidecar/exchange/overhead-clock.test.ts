import t from 'tap';
import { OverheadClock } from '../../../sidecar/exchange/overhead-clock.ts';

t.test('runs from the start, and not while it is stopped', async (t) => {
  const clock = new OverheadClock(1000);
  t.equal(clock.totalMs(1003), 3);
  clock.stop(1002);
  t.equal(clock.totalMs(1500), 2);
  clock.start(1500);
  t.equal(clock.totalMs(1501), 3);
});

t.test('starting it twice, or stopping it twice, counts no time twice', async (t) => {
  const clock = new OverheadClock(0);
  clock.start(5);
  clock.stop(10);
  clock.stop(20);
  clock.start(30);
  clock.start(35);
  t.equal(clock.totalMs(40), 20);
});
