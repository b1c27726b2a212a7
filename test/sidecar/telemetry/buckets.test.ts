import t from 'tap';
import {
  addBuckets,
  type Buckets,
  noBuckets,
  quantile,
  subtractBuckets,
} from '../../../sidecar/telemetry/buckets.ts';

const inf = Number.POSITIVE_INFINITY;
const four: Buckets = { bounds: [1, 2, inf], cumulative: [1, 3, 4] };

t.test('estimates quantiles linearly within a bucket, as Prometheus does', async (t) => {
  t.equal(quantile(four, 0.5), 1.5);
  t.equal(quantile(four, 0.25), 1);
  t.equal(quantile(four, 0.125), 0.5, 'the first bucket begins at 0');
  t.equal(quantile(four, 0.99), 2, 'what is beyond the last bound counts as that bound');
  t.equal(quantile(noBuckets, 0.5), undefined);
  t.equal(quantile({ bounds: [1, inf], cumulative: [0, 0] }, 0.5), undefined);
});

t.test('adds and subtracts, also across versions with other bounds', async (t) => {
  t.same(addBuckets(four, four), { bounds: [1, 2, inf], cumulative: [2, 6, 8] });
  t.same(addBuckets(noBuckets, four), four);
  t.same(addBuckets(four, { bounds: [2, 5, inf], cumulative: [1, 1, 1] }), {
    bounds: [2, inf],
    cumulative: [4, 5],
  });
  t.same(subtractBuckets(four, { ...four, cumulative: [1, 2, 2] }), { ...four, cumulative: [0, 1, 2] });
  t.same(subtractBuckets(four, noBuckets), four);
});
