import { isIP, isIPv4, isIPv6 } from 'node:net';

/** An address and port to listen on or dial. */
export interface SocketAddress {
  /** An IP address without brackets, or a host name. */
  readonly host: string;
  readonly port: number;
}

/** A UNIX socket in the file system. */
export interface UnixAddress {
  readonly path: string;
}

/** Where a listener of the sidecar is: `127.0.0.1:15001`, `[::1]:15001` or `unix:PATH`. */
export type ListenAddress = SocketAddress | UnixAddress;

const form = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+)):([1-9]\d{0,4})$/;
const hostName =
  /^(?:[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?\.)*([0-9A-Za-z_](?:[0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?)$/;
/** What a kernel takes as the path of a UNIX socket (sun_path, without its final NUL), in bytes. */
const longestUnixPath = 107;

/**
 * Parses `ADDRESS:PORT` with an IPv4 address, an IPv6 address in brackets or a host name. A name whose last label is a
 * number is refused: it is a mistyped address, and resolvers disagree about it.
 *
 * @returns undefined when the text is no such address
 */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const [, v6, other, digits] = form.exec(text) ?? [];
  const port = Number(digits);
  if (!(port >= 1 && port <= 65535)) return undefined;
  if (v6 !== undefined) return isIPv6(v6) ? { host: canonicalIPv6(v6), port } : undefined;
  const host = other as string;
  if (isIPv4(host)) return { host, port };
  const last = host.length <= 253 ? hostName.exec(host)?.[1] : undefined;
  return last !== undefined && /[A-Za-z]/.test(last) && !/^0x/i.test(last)
    ? { host: host.toLowerCase(), port }
    : undefined;
}

/**
 * Parses an address to listen on: an IP address with a port, or `unix:PATH`. `localhost` is 127.0.0.1; other names are
 * refused, because what they resolve to changes.
 *
 * @returns undefined when the text is no such address
 */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith('unix:')) return isUnixPath(text.slice(5)) ? { path: text.slice(5) } : undefined;
  const address = parseSocketAddress(text);
  if (address?.host === 'localhost') return { ...address, host: '127.0.0.1' };
  return address !== undefined && isIP(address.host) !== 0 ? address : undefined;
}

/** Whether a path can be bound: no abstract name (which has no permissions), no folder, short enough for the kernel. */
export function isUnixPath(path: string): boolean {
  return path !== '' && !/^@|\0|\/$/.test(path) && Buffer.byteLength(path) <= longestUnixPath;
}

/** As the configuration files write it; the same text for the same address. */
export function formatAddress(address: ListenAddress): string {
  if ('path' in address) return `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether only programs on this machine can connect to a listener there. */
export function isLocal(address: ListenAddress): boolean {
  return 'path' in address || isLoopback(address.host);
}

/** Whether a host is 127.0.0.0/8, ::1 or localhost. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** Whether two listeners cannot exist beside each other, or one address reaches the other's listener. */
export function overlap(a: ListenAddress, b: ListenAddress): boolean {
  if ('path' in a || 'path' in b) return 'path' in a && 'path' in b && a.path === b.path;
  if (a.port !== b.port) return false;
  const isWildcard = (host: string) => host === '0.0.0.0' || host === '::';
  if (a.host === b.host || isWildcard(a.host) || isWildcard(b.host)) return true;
  return [a, b].some(({ host }) => host === 'localhost') && isLoopback(a.host) && isLoopback(b.host);
}

/** @see RFC 5952 */
function canonicalIPv6(address: string): string {
  return new URL(`http://[${address}]`).hostname.slice(1, -1);
}
