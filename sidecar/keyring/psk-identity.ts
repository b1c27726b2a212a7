const prefix = 'countersign/1 ';

/** The PSK identity of a key id, which a ClientHello shows in the clear: `countersign/1 main-backend/3`. */
export function pskIdentity(kid: string): string {
  return `${prefix}${kid}`;
}

/** The key id that a PSK identity names; undefined when it is not one of ours. */
export function kidOfPskIdentity(identity: string): string | undefined {
  return identity.startsWith(prefix) ? identity.slice(prefix.length) : undefined;
}
