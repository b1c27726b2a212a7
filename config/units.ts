import * as z from 'zod';
import {
  isLocal,
  type ListenAddress,
  parseListenAddress,
  parseSocketAddress,
  type SocketAddress,
} from './address.ts';

const bytesPerUnit = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;
const msPerUnit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** A time of more than this, in hours, is a mistake; timers of Node hold 24.8 days at most. */
const mostHours = 576;

const sizeText = 'a size such as 16KiB (an integer with B, KiB, MiB or GiB)';
const durationText = 'a duration such as 10s (an integer with ms, s, m or h)';

/** A size such as `16KiB`: an integer with B, KiB, MiB or GiB. Parses to bytes. */
export const size = z
  .string({ error: sizeText })
  .regex(/^\d{1,12}(B|KiB|MiB|GiB)$/, { error: sizeText })
  .transform((text) => {
    const [, digits, unit] = /^(\d+)(\w+)$/.exec(text) as unknown as [
      string,
      string,
      keyof typeof bytesPerUnit,
    ];
    return Number(digits) * bytesPerUnit[unit];
  })
  .refine((bytes) => bytes <= 1024 ** 4, { error: 'a size of at most 1024GiB' })
  .meta({ kind: 'size' });

/** A duration such as `150s`: an integer with ms, s, m or h. Parses to milliseconds, 1 to 24 days. */
export const duration = z
  .string({ error: durationText })
  .regex(/^\d{1,12}(ms|s|m|h)$/, { error: durationText })
  .transform((text) => {
    const [, digits, unit] = /^(\d+)(\w+)$/.exec(text) as unknown as [string, string, keyof typeof msPerUnit];
    return Number(digits) * msPerUnit[unit];
  })
  .refine((ms) => ms >= 1 && ms <= mostHours * msPerUnit.h, {
    error: `a duration from 1ms to ${mostHours}h`,
  })
  .meta({ kind: 'duration' });

/** A whole number within bounds, for counts. @param what such as `connections`; the error names it */
export function count(least: number, most: number, what = ''): z.ZodInt {
  const error = `a whole number${what === '' ? '' : ` of ${what}`} from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error }).meta({ kind: 'count' });
}

/** A path of a file or folder. */
export const path = z
  .string({ error: 'a path' })
  .min(1, { error: 'a path' })
  .refine((text) => !text.includes('\0'), { error: 'a path without NUL' })
  .meta({ kind: 'path' });

const serviceText = 'a service name: 1 to 63 lower-case letters, digits and inner hyphens';

/** A name of a service, as it stands in fleet.yaml, in key ids and in Host. */
export const serviceName = z
  .string({ error: serviceText })
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, { error: serviceText })
  .meta({ kind: 'service' });

/** An IP address as fleet.yaml and keyring.json write hosts. */
export const hostAddress = z
  .union([z.ipv4(), z.ipv6()], { error: 'an IP address such as 172.16.168.22' })
  .meta({ kind: 'IP address' });

const portText = 'a port from 1 to 65535';

/** A TCP port, 1 to 65535. */
export const port = z
  .int({ error: portText })
  .min(1, { error: portText })
  .max(65535, { error: portText })
  .meta({ kind: 'port' });

const addressForm = 'an address and port such as 127.0.0.1:15001';

/** An address to dial: an IPv4 address, a bracketed IPv6 address or a host name, with a port. */
export const socketAddress = address(addressForm, parseSocketAddress).meta({ kind: 'address' });

/** An address to listen on that others reach: an IP address with a port, `0.0.0.0` for all. */
export const listenAddress = address('an IP address and port such as 0.0.0.0:15006', (text) => {
  const parsed = parseListenAddress(text);
  return parsed !== undefined && 'port' in parsed ? parsed : undefined;
}).meta({ kind: 'address' });

const localForm =
  'a loopback address such as 127.0.0.1:15001, or unix:PATH with a path of at most 107 bytes and no abstract name';

/** An address that only programs on this machine can reach: loopback with a port, or `unix:PATH`. */
export const localAddress = address<ListenAddress>(localForm, parseLocalAddress).meta({
  kind: 'local address',
});

/** As `localAddress`, kept as text: for keys. */
export const localAddressText = z
  .string({ error: localForm })
  .refine((text) => parseLocalAddress(text) !== undefined, { error: localForm });

function parseLocalAddress(text: string): ListenAddress | undefined {
  const parsed = parseListenAddress(text);
  return parsed !== undefined && isLocal(parsed) ? parsed : undefined;
}

function address<Address extends ListenAddress = SocketAddress>(
  form: string,
  parse: (text: string) => Address | undefined,
) {
  return z.string({ error: form }).transform((text, context): Address => {
    const parsed = parse(text);
    if (parsed !== undefined) return parsed;
    context.issues.push({ code: 'custom', input: text, message: form });
    return z.NEVER;
  });
}
