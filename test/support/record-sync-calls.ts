import child_process from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import sqlite from 'node:sqlite';
import { isMainThread } from 'node:worker_threads';

/**
 * Preloaded (`--import`) into a process to find synchronous calls of its main thread. It records from the message `record` on, and
 * answers `report` with them, and `prove` by making one of each kind.
 */
const calls: { readonly name: string; readonly stack: string }[] = [];
let recording = false;
Error.stackTraceLimit = 30;

type Functions = Record<string, (...args: unknown[]) => unknown>;

function watch(owner: object, names: readonly string[], prefix: string): void {
  for (const name of names) {
    const original = (owner as Functions)[name]!;
    (owner as Functions)[name] = function watched(this: unknown, ...args: unknown[]) {
      if (recording) calls.push({ name: `${prefix}.${name}`, stack: String(new Error('called').stack) });
      return original.apply(this, args);
    };
  }
}

const synchronous = (owner: object) =>
  Object.keys(owner).filter((name) => name.endsWith('Sync') && name !== 'DatabaseSync');

if (isMainThread) {
  watch(fs, synchronous(fs), 'fs');
  watch(child_process, synchronous(child_process), 'child_process');
  watch(sqlite.DatabaseSync.prototype, ['exec', 'prepare', 'open'], 'DatabaseSync');
  watch(sqlite.StatementSync.prototype, ['get', 'all', 'run', 'iterate'], 'StatementSync');
  syncBuiltinESMExports();
  process.on('message', (message) => {
    if (message === 'record') {
      recording = true;
      process.send?.('recording');
    } else if (message === 'prove') {
      fs.readFileSync('/dev/null');
      new sqlite.DatabaseSync(':memory:').exec('SELECT 1');
    } else if (message === 'report') {
      recording = false;
      process.send?.(calls);
    }
  });
  process.channel?.unref();
}
