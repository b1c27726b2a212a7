import * as z from 'zod';

const bytesPerUnit = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;
const msPerUnit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/** A size such as `16KiB`: an integer with B, KiB, MiB or GiB. Parses to bytes. */
export const size = z
  .string({ error: 'a size such as 16KiB (an integer with B, KiB, MiB or GiB)' })
  .regex(/^\d{1,12}(B|KiB|MiB|GiB)$/, { error: 'a size such as 16KiB (an integer with B, KiB, MiB or GiB)' })
  .transform((text) => {
    const [, digits, unit] = /^(\d+)(\w+)$/.exec(text) as unknown as [
      string,
      string,
      keyof typeof bytesPerUnit,
    ];
    return Number(digits) * bytesPerUnit[unit];
  });

/** A duration such as `150s`: an integer with ms, s, m or h. Parses to milliseconds. */
export const duration = z
  .string({ error: 'a duration such as 10s (an integer with ms, s, m or h)' })
  .regex(/^\d{1,12}(ms|s|m|h)$/, { error: 'a duration such as 10s (an integer with ms, s, m or h)' })
  .transform((text) => {
    const [, digits, unit] = /^(\d+)(\w+)$/.exec(text) as unknown as [string, string, keyof typeof msPerUnit];
    return Number(digits) * msPerUnit[unit];
  });

/** A name of a service, as it stands in fleet.yaml, in key ids and in Host. */
export const serviceName = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, {
  error: 'a service name: 1 to 63 lower-case letters, digits and inner hyphens',
});

/** A TCP port, 1 to 65535. */
export const port = z.int({ error: 'a port from 1 to 65535' }).min(1).max(65535);

/** An address to listen on or dial. */
export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

/** An IPv4 address or a bracketed IPv6 address with a port: `127.0.0.1:15001`, `[::1]:15001`. */
export const socketAddress = z
  .string({ error: 'an address and port such as 127.0.0.1:15001' })
  .transform((text, context): SocketAddress => {
    const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.-]+)):(\d{1,5})$/.exec(text);
    const number = Number(match?.[3]);
    if (match === null || number < 1 || number > 65535) {
      context.issues.push({
        code: 'custom',
        input: text,
        message: 'an address and port such as 127.0.0.1:15001',
      });
      return z.NEVER;
    }
    return { host: (match[1] ?? match[2]) as string, port: number };
  });
