/** Redis could not be asked, or did not answer in time. What it holds can be made again from SQLite. */
export class RedisUnavailable extends Error {
  readonly code = 'redis-unavailable';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RedisUnavailable';
  }
}

/** Replies by which a server says that it can't serve now; any other reply proves that it can. */
const notServing =
  /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOAUTH|WRONGPASS|NOPERM|NOREPLICAS|MISCONF|OOM)\b/;

/** True of what says that the server is out of reach or out of order, rather than that a command was wrong. */
export function isUnavailable(error: unknown): boolean {
  const { name, message } = error as Error;
  return name !== 'ReplyError' || notServing.test(message);
}
