/** Where Redis is, as the URL in core.yaml says it. */
export type RedisTopology =
  | { readonly kind: 'standalone'; readonly tls: boolean; readonly nodes: readonly RedisNode[] }
  | {
      readonly kind: 'sentinel';
      readonly tls: boolean;
      readonly nodes: readonly RedisNode[];
      readonly master: string;
    }
  | { readonly kind: 'cluster'; readonly tls: boolean; readonly nodes: readonly RedisNode[] };

export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

const forms =
  'redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/MASTER or redis+cluster://HOST:PORT,HOST:PORT (rediss… for TLS)';
const urlForm = /^redis(s?)(?:\+(sentinel|cluster))?:\/\/([^/@\s]+)(?:\/([A-Za-z0-9._-]*))?$/;
const nodeForm = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::(\d{1,5}))?$/;

/**
 * Parses `redis://`, `redis+sentinel://` and `redis+cluster://` URLs, each also with `rediss` for TLS.
 * Secrets and the database number have their own keys in core.yaml and are refused here.
 *
 * @throws {RangeError} whose message says which forms are expected
 */
export function parseRedisUrl(text: string): RedisTopology {
  if (text.includes('@')) {
    throw new RangeError(`a URL without a password (it belongs in redis.password_file): ${forms}`);
  }
  const match = urlForm.exec(text);
  if (match === null) throw new RangeError(forms);
  const [, secure, kind, authority, tail = ''] = match as unknown as [
    string,
    string,
    string?,
    string?,
    string?,
  ];
  const tls = secure === 's';
  const nodes = (authority as string).split(',').map((node) => parseNode(node, kind === 'sentinel'));
  if (kind === 'sentinel') {
    if (tail === '') throw new RangeError(`the name of the master after the hosts: ${forms}`);
    return { kind, tls, nodes, master: tail };
  }
  if (tail !== '') throw new RangeError(`no path (databases have their own key): ${forms}`);
  if (kind === 'cluster') return { kind, tls, nodes };
  if (nodes.length !== 1) throw new RangeError(`one host, or redis+sentinel or redis+cluster: ${forms}`);
  return { kind: 'standalone', tls, nodes };
}

function parseNode(text: string, sentinel: boolean): RedisNode {
  const match = nodeForm.exec(text);
  const port = Number(match?.[3] ?? (sentinel ? 26379 : 6379));
  if (match === null || port < 1 || port > 65535) throw new RangeError(forms);
  return { host: (match[1] ?? match[2]) as string, port };
}
