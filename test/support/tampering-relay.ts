import { connect, createServer } from 'node:net';

/** Where relays listen: at the port of the callee's sidecar, on an address of their own. */
export const relayHost = '127.0.0.2';

export interface TamperingRelay {
  /** What becomes of the bytes towards the callee; they pass unchanged unless told. */
  change: (text: string) => string;
}

/** Stands between two sidecars and changes what it passes on. */
export async function tamperingRelay(
  t: { teardown(done: () => unknown): void },
  calleePort: number,
): Promise<TamperingRelay> {
  const server = createServer((caller) => {
    const callee = connect(calleePort, '127.0.0.1');
    caller.on('data', (piece) => callee.write(relay.change(piece.toString('latin1')), 'latin1'));
    caller.on('end', () => callee.end());
    callee.pipe(caller);
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
  const relay: TamperingRelay = { change: (text) => text };
  return relay;
}
