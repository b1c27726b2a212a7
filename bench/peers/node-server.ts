import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { start } from '../processes.ts';
import { matrixYaml } from './fleet.ts';
import type { Place, RunningPeer } from './peer.ts';

/** Starts one of the programs in servers/ on Node; it says `ready PORT`. */
export async function startNodeServer(place: Place, name: string): Promise<RunningPeer> {
  const settings = join(place.folder, 'settings.json');
  await writeFile(join(place.folder, 'authorization.yaml'), matrixYaml());
  await writeFile(settings, JSON.stringify({ app: place.app, identity: place.identity }), { mode: 0o600 });
  const { pid, said, stop } = await start(
    process.execPath,
    [join(import.meta.dirname, 'servers', `${name}.ts`), settings],
    { cores: place.cores, ready: (line) => line.startsWith('ready ') },
  );
  return { port: Number(said.slice('ready '.length)), pids: [pid], stop };
}
