import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** A folder of its own outside of the project; removed when the test ends. */
export async function tempFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
