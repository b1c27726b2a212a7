/**
 * One worker of the load generator, a process of its own with an IPC channel: opens connections, sends requests that
 * are each signed afresh, and reports what happened since the last report.
 */
import { connect, type Socket } from 'node:net';
import { Latencies } from './latencies.ts';
import type { Command, Load, Report } from './protocol.ts';
import { Signer } from './signer.ts';

/** Later than this the loop waits by timer, sooner it spins: timers are exact to a millisecond only. */
const spinBelowMs = 2;

class Connection {
  readonly run: Run;
  socket!: Socket;
  /** When the request under way was due, by performance.now(). */
  dueMs = 0;
  busy = false;
  carry = '';
  remaining = 0;

  constructor(run: Run) {
    this.run = run;
  }

  open(): Promise<void> {
    this.busy = false;
    this.carry = '';
    this.remaining = 0;
    return new Promise((resolve) => {
      const socket = connect({ port: this.run.load.port, host: '127.0.0.1', noDelay: true });
      this.socket = socket;
      socket.once('connect', resolve);
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => this.#onData(chunk));
      socket.on('close', () => {
        resolve();
        this.run.onClosed(this);
      });
    });
  }

  send(dueMs: number): void {
    const { run } = this;
    this.dueMs = dueMs;
    this.busy = true;
    const { body } = run;
    if (body === undefined) this.socket.write(run.signer.head(), 'latin1');
    else {
      this.socket.cork();
      this.socket.write(run.signer.head(), 'latin1');
      this.socket.write(body);
      this.socket.uncork();
    }
  }

  #onData(chunk: Buffer): void {
    this.run.received += chunk.length;
    if (this.remaining > 0) {
      this.remaining -= chunk.length;
      if (this.remaining <= 0) this.run.onAnswer(this);
      return;
    }
    const text = this.carry + chunk.latin1Slice(0, Math.min(chunk.length, 4096));
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) {
      this.carry = text;
      return;
    }
    const present = this.carry.length + chunk.length - end - 4;
    this.carry = '';
    if (text.charCodeAt(9) !== 0x32) this.run.bad++;
    const length = /\r\ncontent-length: *(\d+)/i.exec(text);
    // Without a length it is chunked, and all answers here of that kind end with the last chunk in one piece.
    this.remaining = length === null ? 0 : Number(length[1]) - present;
    if (this.remaining <= 0) this.run.onAnswer(this);
  }
}

class Run {
  readonly load: Load;
  readonly signer: Signer;
  readonly body: Buffer | undefined;
  readonly connections: Connection[];
  readonly latencies = new Latencies();
  readonly #idle: Connection[] = [];
  readonly #waiting: number[] = [];
  #waitingAt = 0;
  #stopped = false;
  #onAnswers: (() => void) | undefined;
  requests = 0;
  bad = 0;
  received = 0;

  constructor(load: Load) {
    this.load = load;
    this.signer = new Signer(load.dialect, load.identity, load.call);
    this.body = load.call.body === 0 ? undefined : Buffer.alloc(load.call.body, 'u');
    this.connections = Array.from({ length: load.connections }, () => new Connection(this));
  }

  async start(): Promise<void> {
    for (let i = 0; i < this.connections.length; i += 64)
      await Promise.all(this.connections.slice(i, i + 64).map((connection) => connection.open()));
    // One request each, then silence.
    if (this.load.perSecond < 0) {
      for (let i = 0; i < this.connections.length; i += 64) {
        const some = this.connections.slice(i, i + 64);
        await new Promise<void>((resolve) => {
          this.#onAnswers = () => some.every(({ busy }) => !busy) && resolve();
          for (const connection of some) connection.send(performance.now());
        });
      }
    }
    if (this.load.perSecond === 0)
      for (const connection of this.connections) connection.send(performance.now());
    else if (this.load.perSecond > 0) {
      this.#idle.push(...this.connections);
      this.#pace(performance.now(), 0);
    }
  }

  /** Sends what is due; a request that finds no free connection waits, and its wait counts. */
  #pace(startMs: number, sent: number): void {
    if (this.#stopped) return;
    const gapMs = 1000 / this.load.perSecond;
    let next = sent;
    for (const now = performance.now(); startMs + next * gapMs <= now; next++) {
      const dueMs = startMs + next * gapMs;
      const connection = this.#idle.pop();
      if (connection === undefined) this.#waiting.push(dueMs);
      else connection.send(dueMs);
    }
    const inMs = startMs + next * gapMs - performance.now();
    if (inMs > spinBelowMs) setTimeout(() => this.#pace(startMs, next), Math.floor(inMs) - 1);
    else setImmediate(() => this.#pace(startMs, next));
  }

  onAnswer(connection: Connection): void {
    const now = performance.now();
    connection.busy = false;
    this.requests++;
    this.latencies.record((now - connection.dueMs) * 1000);
    this.#onAnswers?.();
    if (this.#stopped || this.load.perSecond < 0) return;
    if (this.load.perSecond === 0) connection.send(now);
    else if (this.#waitingAt < this.#waiting.length) {
      connection.send(this.#waiting[this.#waitingAt++]!);
      if (this.#waitingAt === this.#waiting.length) {
        this.#waiting.length = 0;
        this.#waitingAt = 0;
      }
    } else this.#idle.push(connection);
  }

  onClosed(connection: Connection): void {
    if (this.#stopped) return;
    const { busy } = connection;
    if (busy) this.bad++;
    connection.busy = false;
    this.#onAnswers?.();
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    // Not at once: a peer that is gone must not be dialled in a loop.
    setTimeout(() => {
      if (this.#stopped) return;
      void connection.open().then(() => {
        if (this.#stopped || this.load.perSecond < 0) return;
        if (this.load.perSecond === 0) connection.send(performance.now());
        else this.#idle.push(connection);
      });
    }, 20);
  }

  report(): Report {
    const report = {
      requests: this.requests,
      bad: this.bad,
      received: this.received,
      open: this.connections.filter(({ socket }) => !socket.destroyed).length,
      latencies: Array.from(this.latencies.counts),
    };
    this.requests = this.bad = this.received = 0;
    this.latencies.clear();
    return report;
  }

  stop(): void {
    this.#stopped = true;
    for (const { socket } of this.connections) socket.destroy();
  }
}

let run: Run | undefined;

process.on('message', async (command: Command) => {
  switch (command.do) {
    case 'open':
      run = new Run(command.load);
      await run.start();
      process.send?.({});
      break;
    case 'report':
      process.send?.(run?.report() ?? {});
      break;
    case 'close':
      run?.stop();
      run = undefined;
      process.send?.({});
      break;
  }
});
process.on('disconnect', () => process.exit());
