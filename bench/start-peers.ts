import { differences } from './equal-work.ts';
import { peers } from './peers/all.ts';
import { missing, type Stage } from './stage.ts';
import type { Absence, Entry } from './subject.ts';

/**
 * Starts every peer that can be started here, and sees to it that each does the work that it is compared by.
 *
 * @throws {Error} when one of them does not
 */
export async function startPeers(stage: Stage, say: (text: string) => void) {
  const entries: Entry[] = [];
  const versions: Record<string, string> = {};
  const absences: Absence[] = [];
  for (const peer of peers) {
    const why = missing(peer);
    if (why !== undefined) {
      absences.push({ title: peer.title, why });
      say(`${peer.title}: ${why}`);
      continue;
    }
    versions[peer.title] = peer.version();
    const running = await stage.start(peer);
    entries.push({ peer, running });
    const wrong = await differences(peer, running.port, stage.identity);
    if (wrong.length > 0) throw new Error(`${peer.title} does not do equal work: ${wrong.join('; ')}`);
  }
  say(`${entries.length} peers answer right and wrong requests as they should`);
  return { entries, versions, absences };
}
