import { connect, type Socket } from 'node:net';

/** What one address of strangers does to a listener, again and again until it is stopped. */
export interface Attack {
  /** A loopback address that is not of the fleet. */
  readonly from: string;
  readonly connections: number;
  /** What each connection says first, and then once a second; '' for silence. */
  readonly first: string;
  readonly eachSecond: string;
}

const reopenMs = 5_000;
const openedTogether = 100;

/** Peers that prove nothing: each holds a connection and opens the next one some seconds after it has lost it. */
export class Strangers {
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  #lost = 0;
  #stopped = false;

  private constructor(port: number) {
    this.#port = port;
  }

  /** Resolves once every connection has been opened. */
  static async start(port: number, attacks: readonly Attack[]): Promise<Strangers> {
    const strangers = new Strangers(port);
    for (const attack of attacks)
      for (let i = 0; i < attack.connections; i += openedTogether)
        await Promise.all(
          Array.from({ length: Math.min(openedTogether, attack.connections - i) }, () =>
            strangers.#open(attack),
          ),
        );
    return strangers;
  }

  /** Connections that are open now, and how many were lost so far. */
  get state(): { readonly open: number; readonly lost: number } {
    return { open: this.#sockets.size, lost: this.#lost };
  }

  #open(attack: Attack): Promise<void> {
    const socket = connect({ port: this.#port, host: '127.0.0.1', localAddress: attack.from });
    this.#sockets.add(socket);
    let drip: NodeJS.Timeout | undefined;
    socket.resume();
    socket.on('error', () => {});
    return new Promise((resolve) => {
      socket.once('connect', () => {
        if (attack.first !== '') socket.write(attack.first);
        if (attack.eachSecond !== '') drip = setInterval(() => socket.write(attack.eachSecond), 1_000);
        resolve();
      });
      socket.once('close', () => {
        clearInterval(drip);
        this.#sockets.delete(socket);
        resolve();
        if (this.#stopped) return;
        this.#lost++;
        setTimeout(() => {
          if (!this.#stopped) void this.#open(attack);
        }, reopenMs).unref();
      });
    });
  }

  /** Closes all of them. */
  stop(): void {
    this.#stopped = true;
    // One that still waits to be accepted would be reset only once it is, which may never be.
    for (const socket of this.#sockets)
      if (socket.connecting) socket.destroy();
      else socket.resetAndDestroy();
  }
}
