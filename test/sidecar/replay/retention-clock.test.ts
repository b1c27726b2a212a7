import t from 'tap';
import { RetentionClock } from '../../../sidecar/replay/retention-clock.ts';

const wall = 1_764_000_000;

t.test('runs with the monotonic clock', async (t) => {
  const clock = new RetentionClock(wall * 1000, 5000);
  t.equal(clock.read((wall + 10) * 1000, 15_000), wall + 10);
});

t.test('a step forward that is taken back leaves no trace', async (t) => {
  const clock = new RetentionClock(wall * 1000, 0);
  t.equal(clock.read((wall + 3600) * 1000, 1000), wall + 1);
  t.equal(clock.read((wall + 3600 + 600) * 1000, 600_000), wall + 600);
  t.equal(clock.read((wall + 700) * 1000, 700_000), wall + 700);
});

t.test('a step forward that lasts is followed when no nonce can need the old time any more', async (t) => {
  const clock = new RetentionClock(wall * 1000, 0);
  let second = 0;
  const read = () => clock.read((wall + second + 3600) * 1000, second * 1000);
  for (; second < 1400; second += 10) {
    const at = read();
    if (second < 660) t.equal(at, wall + second);
  }
  t.equal(read(), wall + second + 3600);
});

t.test('a step back is followed at once', async (t) => {
  const clock = new RetentionClock(wall * 1000, 0);
  t.equal(clock.read((wall - 3600) * 1000, 1000), wall - 3600);
});
