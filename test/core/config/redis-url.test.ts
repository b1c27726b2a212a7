import t from 'tap';
import { parseRedisUrl } from '../../../core/config/redis-url.ts';

const node = (host: string, port: number) => ({ host, port });

t.test('reads the three kinds of URL, with and without TLS', async (t) => {
  t.strictSame(parseRedisUrl('redis://10.0.0.1'), {
    kind: 'standalone',
    tls: false,
    nodes: [node('10.0.0.1', 6379)],
  });
  t.strictSame(parseRedisUrl('rediss://[::1]:7000'), {
    kind: 'standalone',
    tls: true,
    nodes: [node('::1', 7000)],
  });
  t.strictSame(parseRedisUrl('redis+sentinel://a,b:1/mymaster'), {
    kind: 'sentinel',
    tls: false,
    nodes: [node('a', 26379), node('b', 1)],
    master: 'mymaster',
  });
  t.strictSame(parseRedisUrl('rediss+cluster://a:7000,b'), {
    kind: 'cluster',
    tls: true,
    nodes: [node('a', 7000), node('b', 6379)],
  });
});

t.test('refuses everything else with the forms that there are', async (t) => {
  for (const url of [
    '',
    'http://a',
    'redis://',
    'redis://a,b',
    'redis://a/1',
    'redis://a:0',
    'redis://a:70000',
    'redis+cluster://a/x',
    'redis+sentinel://a',
    'redis://u:p@a',
    'redis://a b',
  ]) {
    t.throws(() => parseRedisUrl(url), { name: 'RangeError', message: /redis:\/\/HOST:PORT/ }, url);
  }
});
