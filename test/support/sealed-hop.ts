import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import type { Test } from 'tap';
import { Admission, newSharedAdmission, type Place } from '../../sidecar/connections/admission.ts';
import { Arrival, type ArrivalParts } from '../../sidecar/connections/arrival.ts';
import type { HandshakeError } from '../../sidecar/connections/handshake.ts';
import { dialSealed } from '../../sidecar/connections/sealed-client.ts';
import type { OwnedSocket, SocketOwner } from '../../sidecar/connections/socket.ts';
import type { SealingKey } from '../../sidecar/keyring/keyring.ts';
import type { HandshakeResult, Peer } from '../../sidecar/terms/handshake.ts';

export const psk = Buffer.alloc(32, 7);
export const kid = 'main-backend/3';

/** What a port that takes TLS and plain HTTP did with its connections. */
export class ServerEnd {
  readonly port: number;
  readonly handshakes: { result: HandshakeResult; peer: Peer | undefined }[] = [];
  /** One a connection that was served, with the peer that it proved. */
  readonly served: { peer: Peer | undefined; text: string; socket: OwnedSocket }[] = [];
  ended = 0;
  /** What is answered as soon as something has come. */
  answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  #waiting: (() => void)[] = [];

  private constructor(port: number) {
    this.port = port;
  }

  static async start(t: Test, connectMs = 5_000): Promise<ServerEnd> {
    let end: ServerEnd;
    const open = new Set<{ destroy(): void }>();
    const limits = { connections: 1000, unproven_connections: 1000, per_address: 1000 };
    const admission = new Admission(limits, newSharedAdmission(), []);
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (accepted) => {
      const parts: ArrivalParts = {
        timeouts: { idle: 60_000, connect: connectMs },
        keyOf: (id) => (id === kid ? { caller: 'main-backend', kid, psk } : undefined),
        serve: (socket, peer) => {
          open.add(socket);
          return end.#serve(socket, peer);
        },
        onHandshake: (result, peer) => end.handshakes.push({ result, peer }),
        onEnd: () => {
          end.ended++;
          end.#changed();
        },
      };
      const place = admission.admit(accepted.remoteAddress ?? '') as Place;
      const arrival = Arrival.accept(accepted, parts, place);
      if (arrival !== undefined) open.add({ destroy: () => arrival.abort() });
    });
    end = new ServerEnd(await listen(t, server));
    t.teardown(() => {
      for (const each of open) each.destroy();
    });
    return end;
  }

  #serve(socket: OwnedSocket, peer: Peer | undefined): SocketOwner {
    const connection = { peer, text: '', socket };
    this.served.push(connection);
    return {
      bodyBuffer: undefined,
      onBytes: (buffer, length) => {
        connection.text += buffer.latin1Slice(0, length);
        socket.write(this.answer, 'latin1');
        this.#changed();
        return true;
      },
      onConnected() {},
      onReadEnd: () => socket.end(),
      onDrain() {},
      onClosed: () => this.#changed(),
    };
  }

  #changed(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(reached: () => boolean): Promise<void> {
    while (!reached()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** What a client end saw. */
export interface Dialled {
  readonly socket: OwnedSocket;
  proven: boolean;
  text: string;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<Error | undefined>;
  /** Resolves once so much text has come, or the connection is closed. */
  until(enough: (text: string) => boolean): Promise<void>;
}

/** Dials a sealed connection and writes `request` once the peer is proven. */
export function dialled(t: Test, port: number, key: SealingKey, request = 'GET / HTTP/1.1\r\n\r\n'): Dialled {
  let close: (error: Error | undefined) => void;
  let wake = () => {};
  const end: Dialled = {
    socket: dialSealed('127.0.0.1', port, key, {
      bodyBuffer: undefined,
      onBytes(buffer, length) {
        end.text += buffer.latin1Slice(0, length);
        wake();
        return true;
      },
      onConnected() {
        end.proven = true;
        end.socket.write(request, 'latin1');
      },
      onReadEnd: () => end.socket.end(),
      onDrain() {},
      onClosed(error) {
        close(error);
        wake();
      },
    }),
    proven: false,
    text: '',
    closed: new Promise((resolve) => {
      close = resolve;
    }),
    async until(enough) {
      while (!enough(end.text) && !end.socket.destroyed)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    },
  };
  t.teardown(() => end.socket.destroy());
  return end;
}

/** The failure of a dial that must not succeed. */
export async function failureOf({ closed }: Dialled): Promise<string | undefined> {
  return ((await closed) as HandshakeError | undefined)?.failure;
}

export async function listen(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return (server.address() as { port: number }).port;
}

/** An openssl process. */
export class OpenSsl {
  readonly child;
  out = '';
  err = '';
  readonly closed: Promise<number | null>;
  #wake = () => {};

  constructor(t: Test, args: readonly string[]) {
    this.child = spawn('openssl', args, { stdio: 'pipe' });
    const { child } = this;
    child.stdout.on('data', (piece: Buffer) => {
      this.out += piece.toString('latin1');
      this.#wake();
    });
    child.stderr.on('data', (piece: Buffer) => {
      this.err += piece.toString('latin1');
      this.#wake();
    });
    child.stdin.on('error', () => {});
    this.closed = new Promise((resolve) =>
      child.once('close', (code) => {
        resolve(code);
        this.#wake();
      }),
    );
    t.teardown(() => child.kill('SIGKILL'));
  }

  /** Waits until both outputs together satisfy `enough`, or the process has ended. */
  async until(enough: (text: string) => boolean): Promise<void> {
    while (!enough(this.out + this.err) && this.child.exitCode === null && this.child.signalCode === null)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }
}
