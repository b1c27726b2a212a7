import { readFile } from 'node:fs/promises';
import { chat, startFleet } from './fleet.ts';
import type { Row } from './report.ts';

const streams = 40;
const chunks = 400;
const gapMs = 5;
const rounds = 3;
const tickMs = 10;

/** CPU of each streamed chunk: the core without a session, beside relays that do nothing else. */
export async function streamedChunks(): Promise<Row[]> {
  const fleet = await startFleet();
  try {
    const relays = await Promise.all(
      ['fastify-http-proxy', 'openai-client'].map(async (kind) => ({ kind, ...(await fleet.relay(kind)) })),
    );
    const subjects = [
      { name: '@fastify/http-proxy', url: relays[0]!.url, pid: relays[0]!.pid },
      { name: 'a plain relay with the openai client', url: relays[1]!.url, pid: relays[1]!.pid },
      { name: 'core, stateless', url: fleet.coreUrl, pid: fleet.corePid },
      { name: 'core, turns of sessions', url: fleet.coreUrl, pid: fleet.corePid, session: true },
    ];
    const found = subjects.map((): number[] => []);
    // Interleaved rounds, so that whatever else the machine does hits all of them alike; the first warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const [index, { url, pid, session }] of subjects.entries()) {
        const before = await cpuMsOf(pid);
        await Promise.all(
          Array.from({ length: streams }, (_, stream) =>
            chat(url, `gap=${gapMs} chunks=${chunks}`, session ? `c${round}-${stream}` : undefined, true),
          ),
        );
        if (round > 0) found[index]?.push(((await cpuMsOf(pid)) - before) / (streams * chunks));
      }
    }
    const microseconds = found.map(
      (each) => 1000 * (each.toSorted((a, b) => a - b)[Math.floor(each.length / 2)] ?? 0),
    );
    const fastest = Math.min(microseconds[0] ?? 0, microseconds[1] ?? 0);
    return subjects.map(({ name }, index) => ({
      what: `CPU per streamed chunk, ${streams} streams of ${chunks} chunks, ${gapMs} ms apart: ${name}`,
      value: `${(microseconds[index] ?? 0).toFixed(1)} µs`,
      note: `${((microseconds[index] ?? 0) / fastest).toFixed(2)} × the fastest relay`,
    }));
  } finally {
    await fleet.stop();
  }
}

/** User and system time of a process, all threads. @see proc_pid_stat(5) */
async function cpuMsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}
