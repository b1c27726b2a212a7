import { writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { workerData } from 'node:worker_threads';
import { type Heartbeat, lastBeat } from './heartbeat.ts';
import { type Frame, sampleMainThread } from './stack-sampler.ts';

/** What the thread is told when it starts. */
export interface WatcherData {
  readonly heartbeat: Heartbeat;
  /** How late a turn of the loop may be. */
  readonly thresholdMs: number;
  /** How often the main thread beats, and this thread looks. */
  readonly intervalMs: number;
  /** Descriptor of the log. Written to directly: a blocked main thread could not pass it on. */
  readonly logDescriptor: number;
}

const { heartbeat, thresholdMs, intervalMs, logDescriptor } = workerData as WatcherData;

/** How long a stack is waited for before the log says that there is none yet. */
const patienceMs = 1000;

/** The turn that is late and was reported, until the next one comes. */
let reported: bigint | undefined;
let lastLook = process.hrtime.bigint();

function look(): void {
  const now = process.hrtime.bigint();
  const ownGapMs = Number(now - lastLook) / 1e6;
  lastLook = now;
  const { id, ageMs } = lastBeat(heartbeat);
  if (reported !== undefined) {
    if (id === reported) return;
    log('event loop free again', { blocked_ms: Math.round(Number(id - reported) / 1e6) });
    reported = undefined;
    return;
  }
  // When this thread was late itself, the whole process stood still (SIGSTOP, a paused VM): no callback is to blame.
  if (ageMs <= thresholdMs + intervalMs || ownGapMs > thresholdMs) return;
  reported = id;
  void report(id);
}

async function report(id: bigint): Promise<void> {
  const noStackYet = setTimeout(() => logBlocked(id, ['(a native call that has not returned)']), patienceMs);
  const frames = await sampleMainThread();
  clearTimeout(noStackYet);
  // A pause that came too late shows the stack of somebody innocent.
  const caught = lastBeat(heartbeat).id === id && !isHeartbeat(frames);
  logBlocked(id, caught ? frames : ['(it ended before its stack could be taken)']);
}

function logBlocked(id: bigint, stack: readonly Frame[]): void {
  const late_ms = Math.round(Number(process.hrtime.bigint() - id) / 1e6);
  log('event loop blocked', { late_ms, threshold_ms: thresholdMs, stack });
}

/** The beat itself, run late because something before it in this turn of the loop was slow. */
function isHeartbeat(frames: readonly Frame[]): boolean {
  return frames.some((frame) => /^(beat|onHeartbeat) \(/.test(frame));
}

/** One line in pino's form, at once. */
function log(message: string, fields: object): void {
  const line = {
    level: 40,
    time: Date.now(),
    pid: process.pid,
    hostname: hostname(),
    ...fields,
    msg: message,
  };
  try {
    writeSync(logDescriptor, `${JSON.stringify(line)}\n`);
  } catch {
    // A full pipe or a closed terminal: the counter of blocks still tells.
  }
}

setInterval(look, intervalMs);
