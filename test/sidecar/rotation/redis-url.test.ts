import t from 'tap';
import { parseRedisUrl } from '../../../sidecar/rotation/redis-url.ts';

t.test('reads the URLs of a single Redis, Sentinels and a Cluster', (t) => {
  const plain = { kind: 'single', tls: false, username: undefined, master: undefined, db: 0 };
  t.strictSame(parseRedisUrl('redis://redis-stack'), {
    ...plain,
    nodes: [{ host: 'redis-stack', port: 6379 }],
  });
  t.strictSame(parseRedisUrl('rediss://rotator@172.16.168.23:6380/3'), {
    ...plain,
    tls: true,
    username: 'rotator',
    nodes: [{ host: '172.16.168.23', port: 6380 }],
    db: 3,
  });
  t.strictSame(parseRedisUrl('redis+sentinel://a:1,[::1]:2,c/keys/1'), {
    ...plain,
    kind: 'sentinel',
    master: 'keys',
    nodes: [
      { host: 'a', port: 1 },
      { host: '::1', port: 2 },
      { host: 'c', port: 26379 },
    ],
    db: 1,
  });
  t.strictSame(parseRedisUrl('rediss+cluster://a:1,b'), {
    ...plain,
    kind: 'cluster',
    tls: true,
    nodes: [
      { host: 'a', port: 1 },
      { host: 'b', port: 6379 },
    ],
  });
  t.end();
});

t.test('refuses what it cannot mean, a password first of all, and never quotes it', (t) => {
  const refused: [string, RegExp][] = [
    ['redis://user:hunter2@host', /found a password in the URL.*expected --redis-password-file/],
    ['redis://:hunter2@host', /found a password/],
    ['rediss+cluster://user:hunter2@a:1,b:2', /found a password/],
    ['http://hunter2', /found no URL/],
    ['redis://', /found no URL/],
    ['', /found no URL/],
    ['redis://host:0', /HOST:PORT/],
    ['redis://host:65536', /HOST:PORT/],
    ['redis://a,b', /several hosts/],
    ['redis://host/one', /database number/],
    ['redis://host/0/hunter2', /database number/],
    ['redis+sentinel://a:1', /name of a master/],
    ['redis+cluster://a:1/2', /database number/],
  ];
  for (const [url, message] of refused) {
    t.throws(() => parseRedisUrl(url), { message }, url);
    try {
      parseRedisUrl(url);
    } catch (error) {
      t.notMatch(String(error), /hunter2/);
    }
  }
  t.end();
});
