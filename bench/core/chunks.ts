import { compare, median } from '../statistics.ts';
import { ratioTarget } from '../targets.ts';
import { chat, cpuMs, startFleet } from './fleet.ts';
import type { Found } from './report.ts';

const streams = 40;
const chunks = 400;
const gapMs = 5;
const rounds = 3;
const most = 1.2;

/** CPU of each streamed chunk: the core without a session, beside relays that do nothing else. */
export async function streamedChunks(): Promise<Found> {
  const fleet = await startFleet();
  try {
    const core = { url: fleet.coreUrl, pid: fleet.corePid };
    const subjects = [
      { name: '@fastify/http-proxy', ...(await fleet.relay('fastify-http-proxy')), session: false },
      {
        name: 'a plain relay with the openai client',
        ...(await fleet.relay('openai-client')),
        session: false,
      },
      { name: 'core, stateless', ...core, session: false },
      { name: 'core, turns of sessions', ...core, session: true },
    ];
    const found = subjects.map((): number[] => []);
    // Interleaved rounds, so that whatever else the machine does hits all of them alike; the first warms up.
    for (let round = 0; round <= rounds; round++)
      for (const [index, { url, pid, session }] of subjects.entries()) {
        const before = cpuMs(pid);
        await Promise.all(
          Array.from({ length: streams }, (_, stream) =>
            chat(url, `gap=${gapMs} chunks=${chunks}`, {
              session: session ? `c${round}-${stream}` : undefined,
              stream: true,
            }),
          ),
        );
        if (round > 0) found[index]?.push((1000 * (cpuMs(pid) - before)) / (streams * chunks));
      }
    const [proxy, relay, stateless] = found as [number[], number[], number[]];
    const fastest = median(proxy) < median(relay) ? proxy : relay;
    return {
      rows: subjects.map(({ name }, index) => ({
        what: `CPU of a streamed chunk, ${streams} streams, ${gapMs} ms apart: ${name}`,
        value: `${median(found[index]!).toFixed(1)} µs`,
        note: `${compare(found[index]!, fastest).ratio.toFixed(2)} × the fastest relay`,
      })),
      targets: ratioTarget(
        'CPU of a streamed chunk, core stateless against the fastest relay',
        compare(stateless, fastest),
        most,
      ),
    };
  } finally {
    await fleet.stop();
  }
}
