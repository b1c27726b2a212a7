import t from 'tap';
import { inheritedSockets } from '../../config/inherited-sockets.ts';

const handed = { LISTEN_PID: '7', LISTEN_FDS: '3', LISTEN_FDNAMES: 'inbound:core:inbound' };

t.test('gives the descriptors from 3 on by their names', (t) => {
  t.strictSame(
    [...inheritedSockets(handed, 7).byName],
    [
      ['inbound', [3, 5]],
      ['core', [4]],
    ],
  );
  t.end();
});

t.test('takes none that are meant for another process, or are not counted', (t) => {
  for (const environment of [{}, { ...handed, LISTEN_PID: '8' }, { ...handed, LISTEN_FDS: 'x' }]) {
    t.equal(inheritedSockets(environment, 7).byName.size, 0);
  }
  t.end();
});
