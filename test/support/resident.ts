import { readFile } from 'node:fs/promises';

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): Promise<number> {
  return statusBytes(pid, 'VmRSS');
}

/** The part of it that no other process has: no page of a file. */
export function privateBytes(pid: number): Promise<number> {
  return statusBytes(pid, 'RssAnon');
}

async function statusBytes(pid: number, field: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]);
}
