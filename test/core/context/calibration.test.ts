import { Registry } from 'prom-client';
import t from 'tap';
import { Calibration } from '../../../core/context/calibration.ts';

t.test('the estimate comes to agree with what the model counts', async (t) => {
  const calibration = new Calibration(new Registry());
  t.equal(calibration.scaleOf('m'), 1);
  const raw = 400;
  for (let turn = 0; turn < 20; turn++) {
    const scale = calibration.scaleOf('m');
    calibration.learn('m', 'm', raw * scale, scale, 600);
  }
  t.ok(
    Math.abs(calibration.scaleOf('m') - 1.5) < 0.01,
    `learned ${calibration.scaleOf('m')}, the truth is 1.5`,
  );
  t.equal(calibration.scaleOf('another'), 1, 'each model has its own');
});

t.test('one odd report does not upset what was learned, and nonsense is ignored', async (t) => {
  const calibration = new Calibration(new Registry());
  for (let turn = 0; turn < 10; turn++) calibration.learn('m', 'm', 100, 1, 100);
  calibration.learn('m', 'm', 100, 1, 1_000_000);
  t.ok(calibration.scaleOf('m') < 2);
  for (const nonsense of [0, -5, Number.NaN, '12', undefined, null])
    calibration.learn('x', 'x', 100, 1, nonsense);
  t.equal(calibration.scaleOf('x'), 1);
  calibration.learn('y', 'y', 1, 1, 1e9);
  t.equal(calibration.scaleOf('y'), 4, 'stays in its range');
});

t.test('the error of the estimate is a metric', async (t) => {
  const registry = new Registry();
  const calibration = new Calibration(registry);
  calibration.learn('m', 'm', 150, 1, 100);
  const text = await registry.metrics();
  t.match(text, 'countersign_core_token_estimate_error_ratio_sum{model="m"} 0.5');
  t.match(text, /countersign_core_token_estimate_scale\{model="m"\} 0\.66/);
});
