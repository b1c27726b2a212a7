import { readFile } from 'node:fs/promises';

const listenState = '0A';

/** Who listens at the port of an app. */
export interface AppListeners {
  /** Whether anything does; undefined where the system does not tell. */
  readonly listens: boolean | undefined;
  /** The addresses beyond loopback among them. */
  readonly exposedOn: readonly string[];
}

/**
 * Looks for what listens on this machine at a TCP port, in /proc/net/tcp and tcp6.
 *
 * @param processFiles the folder of tcp and tcp6
 */
export async function appListeners(port: number, processFiles = '/proc/net'): Promise<AppListeners> {
  const texts = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`${processFiles}/${name}`, 'latin1').catch(() => undefined)),
  );
  const known = texts.filter((text) => text !== undefined);
  const addresses = known.flatMap((text) => listening(text, port));
  return {
    listens: known.length === 0 ? undefined : addresses.length > 0,
    exposedOn: [...new Set(addresses.filter((address) => !isLoopback(address)))],
  };
}

/** The local addresses of listening sockets in the text of /proc/net/tcp or tcp6. */
function listening(text: string, port: number): string[] {
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) \S+ ([0-9A-F]{2}) /.exec(line);
    if (match === null) continue;
    const [, address, hexPort, state] = match as unknown as [string, string, string, string];
    if (state === listenState && Number.parseInt(hexPort, 16) === port) found.push(addressText(address));
  }
  return found;
}

/** The kernel writes each 32-bit word of an address in the machine's byte order; ours are little-endian. */
function addressText(hex: string): string {
  const bytes = (hex.match(/.{8}/g) as string[]).flatMap((word) =>
    (word.match(/../g) as string[]).reverse().map((byte) => Number.parseInt(byte, 16)),
  );
  if (bytes.length === 4) return bytes.join('.');
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (mapped) return bytes.slice(12).join('.');
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number)).toString(16),
  );
  const full = groups.join(':');
  if (full === '0:0:0:0:0:0:0:0') return '::';
  return full === '0:0:0:0:0:0:0:1' ? '::1' : full;
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}
