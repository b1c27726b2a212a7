import { readFile, readlink } from 'node:fs/promises';

/**
 * Names this process for as long as it lives: boot of the machine, PID namespace, PID and its start time. On a system
 * without /proc it names the process only, and {@link hasEnded} never knows better than the heartbeat.
 */
export async function ownProcess(): Promise<string> {
  const place = await ownPlace();
  const started = place === undefined ? undefined : await startTime(process.pid);
  return started === undefined ? `unknown:${process.pid}` : `${place}:${process.pid}:${started}`;
}

/** True only of a process of this machine that is certainly gone. */
export async function hasEnded(name: string): Promise<boolean> {
  const place = await ownPlace();
  if (place === undefined || !name.startsWith(`${place}:`)) return false;
  const [pid, started] = name.slice(place.length + 1).split(':');
  return (await startTime(Number(pid))) !== started;
}

async function ownPlace(): Promise<string | undefined> {
  try {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
    const namespace = await readlink('/proc/self/ns/pid');
    return `${boot}:${namespace.replaceAll(/\D/g, '')}`;
  } catch {
    return undefined;
  }
}

/** In clock ticks since the boot; undefined when there is no such process, or only its zombie. */
async function startTime(pid: number): Promise<string | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name, in parentheses, may hold anything; state is the first field after it, start time the twentieth.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}
