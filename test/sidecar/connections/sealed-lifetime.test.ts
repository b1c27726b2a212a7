import t from 'tap';
import { isSpent } from '../../../sidecar/connections/sealed-lifetime.ts';

const fresh = { recordsRead: 1, recordsWritten: 1, bytesRead: 100, bytesWritten: 100 };

t.test('a sealed connection takes no new call after 2^23 records, 64 GiB or one hour', (t) => {
  t.notOk(isSpent(fresh, 3_599_999));
  t.ok(isSpent(fresh, 3_600_000));
  for (const direction of ['recordsRead', 'recordsWritten'] as const) {
    t.notOk(isSpent({ ...fresh, [direction]: 2 ** 23 - 1 }, 0), direction);
    t.ok(isSpent({ ...fresh, [direction]: 2 ** 23 }, 0), direction);
  }
  for (const direction of ['bytesRead', 'bytesWritten'] as const) {
    t.notOk(isSpent({ ...fresh, [direction]: 64 * 1024 ** 3 - 1 }, 0), direction);
    t.ok(isSpent({ ...fresh, [direction]: 64 * 1024 ** 3 }, 0), direction);
  }
  t.end();
});
