import { connect, createServer } from 'node:net';

/** Where relays listen: at the port of the callee's sidecar, on an address of their own. */
export const relayHost = '127.0.0.2';

export interface TamperingRelay {
  /** What becomes of the bytes towards the callee; they pass unchanged unless told. */
  change: (text: string) => string;
  /** What becomes of the bytes in both directions; `cut` ends both connections. */
  alter: (piece: Buffer, towards: 'caller' | 'callee') => Buffer | 'cut';
  /** Answers TLS as a server does that has none, so that only calls in the clear pass. */
  refusesTls: boolean;
  /** All that has passed. */
  recorded: string;
}

/** Stands between two sidecars, records what it passes on and changes it. */
export async function tamperingRelay(
  t: { teardown(done: () => unknown): void },
  calleePort: number,
): Promise<TamperingRelay> {
  const server = createServer((caller) => {
    const callee = connect(calleePort, '127.0.0.1');
    caller.once('data', (piece: Buffer) => {
      if (relay.refusesTls && piece[0] === 0x16)
        caller.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    });
    const pass = (piece: Buffer, towards: 'caller' | 'callee') => {
      if (relay.refusesTls && piece[0] === 0x16) return;
      relay.recorded += piece.toString('latin1');
      const altered = relay.alter(piece, towards);
      if (altered === 'cut') {
        caller.end();
        callee.end();
      } else if (towards === 'caller') caller.write(altered);
      else callee.write(relay.change(altered.toString('latin1')), 'latin1');
    };
    caller.on('data', (piece: Buffer) => pass(piece, 'callee'));
    callee.on('data', (piece: Buffer) => pass(piece, 'caller'));
    caller.on('end', () => callee.end());
    callee.on('end', () => caller.end());
    for (const [one, other] of [
      [caller, callee],
      [callee, caller],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(calleePort, relayHost, resolve));
  t.teardown(() => server.close());
  const relay: TamperingRelay = {
    change: (text) => text,
    alter: (piece) => piece,
    refusesTls: false,
    recorded: '',
  };
  return relay;
}
