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

t.test('a step forward that was taken back within the look-back is not followed at its end', async (t) => {
  for (const backAt of [1, 330, 658, 659]) {
    const clock = new RetentionClock(wall * 1000, 0);
    const read = (second: number, ahead: number) => clock.read((wall + second + ahead) * 1000, second * 1000);
    for (let second = 0; second < 660; second++)
      t.equal(read(second, second === backAt ? 0 : 3600), wall + second);
    t.equal(read(660, 3600), wall + 660, `back at ${backAt}: the wall clock was right once in that time`);
    for (let second = 661; second < 1320; second++) t.equal(read(second, 3600), wall + second);
    t.equal(read(1320, 3600), wall + 1320 + 3600, 'one that stays for a whole look-back is followed');
  }
});

t.test('a step back just inside the look-back is followed at once, and by as much', async (t) => {
  for (const second of [1, 329, 659]) {
    const clock = new RetentionClock(wall * 1000, 0);
    for (let at = 0; at < second; at++) clock.read((wall + at) * 1000, at * 1000);
    t.equal(clock.read((wall + second - 100) * 1000, second * 1000), wall + second - 100);
    t.equal(clock.read((wall + second + 1) * 1000, (second + 1) * 1000), wall + second + 1 - 100);
    t.equal(clock.read((wall + 661) * 1000, 661_000), wall + 661 - 100, 'not forgotten at its end');
  }
});
