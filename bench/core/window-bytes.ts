import { Redis } from 'ioredis';
import { chat, startFleet } from './fleet.ts';
import type { Found } from './report.ts';

const messages = 500;

/** What leaves Redis for a turn of a long session: the window, against the whole history as one would fetch it otherwise. */
export async function windowBytes(): Promise<Found> {
  const fleet = await startFleet();
  const redis = new Redis({ port: fleet.redisPort, host: '127.0.0.1' });
  try {
    for (let turn = 0; turn < messages / 2; turn++)
      await chat(fleet.coreUrl, `question ${turn} ${'x'.repeat(100)}`, { session: 's' });
    const [key] = await redis.keys('chat:*:window');
    const entries = await redis.lrange(key ?? '', -1, -1);
    await redis.rpush('everything', ...Array.from({ length: messages }, () => entries[0] ?? ''));

    const all = await bytesOf(redis, () => redis.lrange('everything', 0, -1));
    const window = await bytesOf(redis, () => redis.lrange(key ?? '', -40, -1));
    // The health loop's pings are a part of what the core reads; a second without a turn shows how much.
    const before = await fleet.metric('countersign_core_redis_bytes_total', 'direction="in"');
    for (let turn = 0; turn < 20; turn++) await chat(fleet.coreUrl, 'one more', { session: 's' });
    const perTurn =
      ((await fleet.metric('countersign_core_redis_bytes_total', 'direction="in"')) - before) / 20;
    return {
      targets: [],
      rows: [
        {
          what: `Redis, session of ${messages} messages: all of it`,
          value: `${all.bytes} B, ${all.messages} messages`,
          note: '',
        },
        {
          what: 'the window (retrieval limit 40)',
          value: `${window.bytes} B, ${window.messages} messages`,
          note: `${less(window.bytes, all.bytes)} fewer bytes, ${less(window.messages, all.messages)} fewer messages`,
        },
        {
          what: 'a whole turn of the core, as its own counter has it',
          value: `${perTurn.toFixed(0)} B in`,
          note: `${less(perTurn, all.bytes)} fewer bytes than fetching all`,
        },
      ],
    };
  } finally {
    redis.disconnect();
    await fleet.stop();
  }
}

async function bytesOf(redis: Redis, fetchAll: () => Promise<string[]>) {
  const before = redis.stream.bytesRead;
  const found = await fetchAll();
  return { bytes: redis.stream.bytesRead - before, messages: found.length };
}

function less(part: number, whole: number): string {
  return `${(100 * (1 - part / whole)).toFixed(1)} %`;
}
