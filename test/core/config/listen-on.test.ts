import t from 'tap';
import { ConfigError } from '../../../config/load.ts';
import { listenOn } from '../../../core/config/listen-on.ts';

const listen = { host: '127.0.0.1', port: 8001 };
const held = (...names: [string, number[]][]) => ({ byName: new Map(names) });

t.test('listens on the socket of systemd, or else on the address of core.yaml', (t) => {
  t.strictSame(listenOn('core.yaml', listen, held(['core', [4]], ['other', [3]])), { fd: 4 });
  t.strictSame(listenOn('core.yaml', listen, held(['other', [3]])), listen);
  t.end();
});

t.test('refuses several', (t) => {
  t.throws(() => listenOn('core.yaml', listen, held(['core', [3, 4]])), ConfigError);
  t.throws(() => listenOn('core.yaml', listen, held(['core', [3, 4]])), {
    message: /core\.yaml.*listen: found 2 inherited "core" sockets, expected one ListenStream/,
  });
  t.end();
});
