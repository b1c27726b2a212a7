import { compare, median } from '../statistics.ts';
import { ratioTarget } from '../targets.ts';
import { chat, type Engine, startFleet } from './fleet.ts';
import type { Found } from './report.ts';

const messages = 100_000;
const searchers = 2;
const rounds = 6;
const turnsARound = 20;
const most = 1.5;
/** A phrase and the beginning of a word, all of which stand in every message: there is no dearer search. */
const query = encodeURIComponent('"some forty characters" messa');
const names = { sqlite: 'SQLite', postgres: 'PostgreSQL' };

/** A caller's turn, alone and beside two other callers who search in 100,000 messages without a pause. */
export async function searchBeside(engine: Engine): Promise<Found> {
  const fleet = await startFleet({ engine, lengths: [messages] });
  try {
    const times = { alone: [] as number[], beside: [] as number[] };
    const searches: number[] = [];
    const search = async (isOver: () => boolean) => {
      while (!isOver()) {
        const started = performance.now();
        const response = await fetch(`${fleet.coreUrl}/api/chats/search?q=${query}`);
        const found = (await response.json()) as { messages?: unknown[] };
        if (response.status !== 200 || found.messages?.length === 0)
          throw new Error(`a search was answered ${response.status}: ${JSON.stringify(found).slice(0, 300)}`);
        searches.push(performance.now() - started);
      }
    };
    // The first round warms up.
    for (let round = 0; round <= rounds; round++)
      for (const situation of ['alone', 'beside'] as const) {
        let over = false;
        const searching =
          situation === 'alone' ? [] : Array.from({ length: searchers }, () => search(() => over));
        const took: number[] = [];
        for (let turn = 0; turn < turnsARound; turn++) {
          const started = performance.now();
          await chat(fleet.coreUrl, 'one more', { session: 'another', caller: 'main-backend' });
          took.push(performance.now() - started);
        }
        over = true;
        await Promise.all(searching);
        if (round > 0) times[situation].push(median(took));
      }
    return {
      rows: [
        {
          what: `${names[engine]}: a turn alone`,
          value: `p50 ${median(times.alone).toFixed(2)} ms`,
          note: '',
        },
        {
          what: `${names[engine]}: the same beside ${searchers} callers searching ${messages.toLocaleString('en')} messages`,
          value: `p50 ${median(times.beside).toFixed(2)} ms`,
          note: `a search takes ${median(searches).toFixed(0)} ms`,
        },
      ],
      targets: ratioTarget(
        `a turn beside two callers searching 100,000 messages against one alone, ${names[engine]}, p50`,
        compare(times.beside, times.alone),
        most,
      ),
    };
  } finally {
    await fleet.stop();
  }
}
