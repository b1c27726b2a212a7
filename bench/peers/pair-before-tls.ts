import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../../tools/build.ts';
import { startPair } from './countersign-pair.ts';
import type { Peer } from './peer.ts';

/** The last commit before every hop was sealed. */
const commit = '7521adea337ca120a6da50d351e272861aa172d6';
const caches = join(root, 'node_modules/.cache/countersign-bench');
const built = join(caches, `enforcing-${commit.slice(0, 12)}`);
const buildLimitMs = 180_000;

/** Builds it from the history, once; why there is none where that cannot be done. */
export function pairBeforeTlsMissing(): string | undefined {
  if (existsSync(built)) return undefined;
  // Outside of node_modules, where Node strips no types.
  const work = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  try {
    mkdirSync(caches, { recursive: true });
    const archive = join(work, 'source.tar');
    command('git', ['archive', '--output', archive, commit], root);
    command('tar', ['-x', '-f', archive], work);
    symlinkSync(join(root, 'node_modules'), join(work, 'node_modules'));
    command(process.execPath, ['tools/build.ts', 'countersign-enforcing'], work);
    cpSync(join(work, 'dist/countersign-enforcing'), built);
    return undefined;
  } catch (error) {
    return `not built: ${(error as Error).message}`;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function command(program: string, args: readonly string[], cwd: string): void {
  const { status, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    timeout: buildLimitMs,
  });
  if (error !== undefined) throw new Error(`${program}: ${error.message}`);
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr.trim().slice(-500)}`);
}

/** Our pair as it was before its hop was sealed: what TLS costs, and what later work on the data path gave back. */
export const pairBeforeTls: Peer = {
  id: 'pair-before-tls',
  title: 'Countersign outbound + inbound, the last commit without TLS',
  dialect: 'plain',
  checks: false,
  version: () => commit.slice(0, 7),
  start: (place) => startPair(place, [built]),
};
