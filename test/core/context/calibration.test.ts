import { Registry } from 'prom-client';
import t from 'tap';
import { Calibration } from '../../../core/context/calibration.ts';

const report = (change: { caller?: string; planned?: number; scale?: number } = {}) => ({
  caller: 'a',
  model: 'm',
  label: 'm',
  planned: 100,
  scale: 1,
  ...change,
});

t.test(
  'grows at once when a model counts more than was estimated, and shrinks slowly, never below 1',
  async (t) => {
    const calibration = new Calibration(new Registry());
    t.equal(calibration.scaleOf('a', 'm'), 1);
    calibration.learn(report(), 150);
    t.equal(calibration.scaleOf('a', 'm'), 1.5);
    calibration.learn(report({ planned: 150, scale: 1.5 }), 100);
    t.ok(Math.abs(calibration.scaleOf('a', 'm') - 1.45) < 1e-9);
    for (let turn = 0; turn < 200; turn++) {
      calibration.learn(report({ scale: calibration.scaleOf('a', 'm') }), 10);
    }
    t.ok(calibration.scaleOf('a', 'm') >= 1 && calibration.scaleOf('a', 'm') < 1.01);
  },
);

t.test(
  'what one caller teaches holds for no other, and a call without a proven caller teaches nothing',
  async (t) => {
    const calibration = new Calibration(new Registry());
    calibration.learn(report({ caller: 'a' }), 400);
    t.equal(calibration.scaleOf('a', 'm'), 4);
    t.equal(calibration.scaleOf('b', 'm'), 1);
    t.equal(calibration.scaleOf('a', 'another'), 1);
    calibration.learn({ ...report(), caller: undefined }, 400);
    t.equal(calibration.scaleOf(undefined, 'm'), 1);
  },
);

t.test('nonsense is ignored, and what is learned has a limit', async (t) => {
  const calibration = new Calibration(new Registry());
  for (const nonsense of [0, -5, Number.NaN, '12', undefined, null]) calibration.learn(report(), nonsense);
  t.equal(calibration.scaleOf('a', 'm'), 1);
  calibration.learn(report(), 1e9);
  t.equal(calibration.scaleOf('a', 'm'), 4);
});

t.test('the error of the count is a metric', async (t) => {
  const registry = new Registry();
  new Calibration(registry).learn(report({ planned: 150 }), 100);
  t.match(await registry.metrics(), 'countersign_core_token_estimate_error_ratio_sum{model="m"} 0.5');
});
