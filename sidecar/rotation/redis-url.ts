/** Where the key registry is, by its URL; a password never stands in it. */
export type RedisAddress = {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  /** Name of the Sentinel group. */
  readonly master: string | undefined;
  readonly db: number;
};

const shape =
  /^(?<scheme>rediss?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<user>[^@/]*)@)?(?<nodes>[^/@]+)(?:\/(?<rest>.*))?$/;
const node = /^(?:\[(?<v6>[0-9A-Fa-f:.]+)\]|(?<host>[0-9A-Za-z._-]+))(?::(?<port>\d{1,5}))?$/;
const standardPort = { single: 6379, sentinel: 26379, cluster: 6379 } as const;

const expected =
  'redis://HOST:PORT/DB, rediss://… with TLS, redis+sentinel://HOST:PORT,HOST:PORT/MASTER or redis+cluster://HOST:PORT,HOST:PORT';

/**
 * Parses the URL of the registry.
 *
 * @throws {RangeError} saying what is expected, and never quoting the URL: someone may have put a password there
 */
export function parseRedisUrl(url: string): RedisAddress {
  const groups = shape.exec(url)?.groups;
  if (groups?.nodes === undefined)
    throw new RangeError(`found no URL of a Redis registry, expected ${expected}`);
  const kind = (groups.kind ?? 'single') as RedisAddress['kind'];
  if (groups.user?.includes(':'))
    throw new RangeError(
      'found a password in the URL, where every user of this machine can see it, expected --redis-password-file',
    );
  const nodes = groups.nodes.split(',').map((text) => {
    const part = node.exec(text)?.groups;
    const port = Number(part?.port ?? standardPort[kind]);
    if (part === undefined || port < 1 || port > 65535)
      throw new RangeError(`found no HOST:PORT in the registry's URL, expected ${expected}`);
    return { host: (part.v6 ?? part.host) as string, port };
  });
  if (kind === 'single' && nodes.length > 1)
    throw new RangeError(`found several hosts for a single Redis, expected ${expected}`);
  const rest = (groups.rest ?? '').split('/').filter((part) => part !== '');
  const master = kind === 'sentinel' ? rest.shift() : undefined;
  if (kind === 'sentinel' && master === undefined)
    throw new RangeError('found no name of a master, expected redis+sentinel://HOST:PORT,HOST:PORT/MASTER');
  const db = rest.shift() ?? '0';
  if (!/^\d{1,4}$/.test(db) || rest.length > 0 || (kind === 'cluster' && db !== '0'))
    throw new RangeError(`found no database number that this kind of URL can have, expected ${expected}`);
  return {
    kind,
    tls: groups.scheme === 'rediss',
    username: groups.user ? decodeURIComponent(groups.user) : undefined,
    nodes,
    master,
    db: Number(db),
  };
}
