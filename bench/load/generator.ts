/**
 * One worker of the load generator, a process of its own with an IPC channel: opens connections, sends requests that
 * are each signed afresh, and reports what happened since the last report.
 */
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { Latencies } from './latencies.ts';
import { PreparedHeads } from './prepared-heads.ts';
import type { Command, Load, Report } from './protocol.ts';
import { Signer } from './signer.ts';

/** Timers are exact to a millisecond only: what is due sooner than this is waited for in rests. */
const restBelowMs = 2;
/**
 * So long the thread sleeps before it looks for answers again. It must not spin: where it shares a core with the app,
 * the app would wait for its turn, and every peer would seem slow.
 */
const restMs = 0.05;
const resting = new Int32Array(new SharedArrayBuffer(4));
try {
  // A rest ends when it should, not up to 50 µs later.
  writeFileSync('/proc/self/timerslack_ns', '1000');
} catch {
  // Then they are longer: for all peers alike.
}

/** Answers are counted and dropped, so that all connections read into one buffer. */
const shared = Buffer.allocUnsafeSlow(256 * 1024);
/** Bodies up to this leave in one write with their head. */
const smallBody = 16 * 1024;

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
      const onread = {
        buffer: shared,
        callback: (length: number) => {
          this.#onBytes(length);
          return true;
        },
      };
      const socket = connect({ port: this.run.load.port, host: '127.0.0.1', noDelay: true, onread });
      this.socket = socket;
      socket.once('connect', resolve);
      socket.on('error', () => {});
      socket.on('close', () => {
        resolve();
        this.run.onClosed(this);
      });
    });
  }

  send(dueMs: number, nowMs: number): void {
    const { run, socket } = this;
    this.dueMs = dueMs;
    this.busy = true;
    const head = run.heads.next(nowMs);
    if (run.body === undefined) socket.write(head, 'latin1');
    else if (run.body.length <= smallBody) socket.write(head + run.bodyText, 'latin1');
    else {
      socket.cork();
      socket.write(head, 'latin1');
      socket.write(run.body);
      socket.uncork();
    }
  }

  #onBytes(length: number): void {
    const { run } = this;
    run.received += length;
    if (this.remaining > 0) {
      this.remaining -= length;
      if (this.remaining <= 0) run.onAnswer(this);
      return;
    }
    const { answerHead } = run;
    const known = answerHead.length;
    // One answer's head is mostly the last one's, byte for byte.
    if (
      this.carry === '' &&
      known > 0 &&
      length >= known &&
      shared.compare(answerHead, 0, known, 0, known) === 0
    ) {
      this.remaining = run.answerBytes - (length - known);
      if (this.remaining <= 0) run.onAnswer(this);
      return;
    }
    this.#onHead(length);
  }

  #onHead(length: number): void {
    const { run } = this;
    const text = this.carry + shared.latin1Slice(0, Math.min(length, 16 * 1024));
    const end = text.indexOf('\r\n\r\n') + 4;
    if (end < 4) {
      this.carry = text;
      return;
    }
    const present = this.carry.length + length - end;
    this.carry = '';
    const isGood = text.charCodeAt(9) === 0x32;
    if (!isGood) run.bad++;
    // Without a length it is chunked, and all answers here of that kind end with the last chunk in one piece.
    const bytes = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1];
    if (isGood && bytes !== undefined) {
      run.answerHead = Buffer.from(text.slice(0, end), 'latin1');
      run.answerBytes = Number(bytes);
    }
    this.remaining = bytes === undefined ? 0 : Number(bytes) - present;
    if (this.remaining <= 0) run.onAnswer(this);
  }
}

class Run {
  readonly load: Load;
  readonly heads: PreparedHeads;
  readonly body: Buffer | undefined;
  readonly bodyText: string;
  /** The head of the last good answer, and the bytes of its body. */
  answerHead = Buffer.alloc(0);
  answerBytes = 0;
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
  #sent = 0;

  constructor(load: Load) {
    this.load = load;
    this.heads = new PreparedHeads(new Signer(load.dialect, load.identity, load.call));
    this.heads.prepare(load.prepared ?? 0);
    this.body = load.call.body === 0 ? undefined : Buffer.alloc(load.call.body, 'u');
    this.bodyText = this.body?.latin1Slice(0, Math.min(this.body.length, smallBody)) ?? '';
    this.connections = Array.from({ length: load.connections }, () => new Connection(this));
  }

  async start(): Promise<void> {
    for (let i = 0; i < this.connections.length; i += 64)
      await Promise.all(this.connections.slice(i, i + 64).map((connection) => connection.open()));
    if (this.load.perSecond < 0) await this.#onceEach();
    if (this.load.perSecond === 0) for (const connection of this.connections) this.#sendNow(connection);
    else if (this.load.perSecond > 0) {
      this.#idle.push(...this.connections);
      this.#pace(performance.now(), 0);
    }
  }

  /** One request on each connection, then silence. @throws {Error} when answers stay away */
  async #onceEach(): Promise<void> {
    for (let i = 0; i < this.connections.length; i += 64) {
      const some = this.connections.slice(i, i + 64);
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('answered nothing for 10 s')), 10_000);
        this.#onAnswers = () => {
          if (some.some(({ busy }) => busy)) return;
          clearTimeout(timer);
          resolve();
        };
        for (const connection of some) this.#sendNow(connection);
      });
    }
  }

  #sendNow(connection: Connection): void {
    const now = performance.now();
    connection.send(now, now);
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
      else connection.send(dueMs, now);
    }
    const inMs = startMs + next * gapMs - performance.now();
    if (inMs > restBelowMs) setTimeout(() => this.#pace(startMs, next), Math.floor(inMs) - 1);
    else {
      if (inMs > 0) Atomics.wait(resting, 0, 0, Math.min(inMs, restMs));
      setImmediate(() => this.#pace(startMs, next));
    }
  }

  onAnswer(connection: Connection): void {
    const now = performance.now();
    connection.busy = false;
    this.requests++;
    this.latencies.record((now - connection.dueMs) * 1000);
    this.#onAnswers?.();
    if (this.#stopped || this.load.perSecond < 0) return;
    if (this.load.perSecond === 0) connection.send(now, now);
    else if (this.#waitingAt < this.#waiting.length) {
      connection.send(this.#waiting[this.#waitingAt++]!, now);
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
        if (this.load.perSecond === 0) this.#sendNow(connection);
        else this.#idle.push(connection);
      });
    }, 20);
  }

  report(): Report {
    const report = {
      requests: this.requests,
      bad: this.bad,
      received: this.received,
      sent: this.#sentSince(),
      open: this.connections.filter(({ socket }) => !socket.destroyed).length,
      latencies: Array.from(this.latencies.counts),
    };
    this.requests = this.bad = this.received = 0;
    this.latencies.clear();
    return report;
  }

  #sentSince(): number {
    let sent = 0;
    for (const { socket } of this.connections) sent += socket.bytesWritten - socket.writableLength;
    const before = this.#sent;
    this.#sent = sent;
    // Less after connections that were lost and opened again.
    return Math.max(0, sent - before);
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
      await run.start().then(
        () => process.send?.({}),
        (error: Error) => process.send?.({ failed: error.message }),
      );
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
