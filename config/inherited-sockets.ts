/**
 * The listening sockets that systemd, or whoever speaks its protocol, holds for us: descriptors from 3 on, with a
 * name each. A swap of binaries refuses nobody because these stay open while processes come and go.
 *
 * @see sd_listen_fds(3)
 */

const firstFd = 3;

export interface InheritedSockets {
  /** Descriptors by name, in order. */
  readonly byName: ReadonlyMap<string, readonly number[]>;
}

/**
 * @param environment where LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES stand; those meant for another process do not count
 */
export function inheritedSockets(environment: NodeJS.ProcessEnv, pid: number): InheritedSockets {
  const byName = new Map<string, number[]>();
  const count = Number(environment.LISTEN_FDS ?? 0);
  if (Number(environment.LISTEN_PID) !== pid || !Number.isInteger(count)) return { byName };
  const names = (environment.LISTEN_FDNAMES ?? '').split(':');
  for (let i = 0; i < count; i++) {
    const name = names[i] ?? '';
    const fds = byName.get(name);
    if (fds === undefined) byName.set(name, [firstFd + i]);
    else fds.push(firstFd + i);
  }
  return { byName };
}
