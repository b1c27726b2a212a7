/**
 * The sidecars of a large fleet, as far as a rotation sees them: each answers `/status` of the keyring that lies in the
 * rotator's folder. Run as a process of its own: `large-fleet-sidecars.ts FOLDER PLACE…`; prints the ports as JSON.
 */
import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseKeyringFile, toKeyring } from '../../sidecar/keyring/keyring-file.ts';
import { loadedKeys } from '../../sidecar/keyring/loaded-keys.ts';

const [folder = '', ...places] = process.argv.slice(2);
const answers = new Map<string, { mtimeMs: number; body: string }>();

async function statusOf(place: string): Promise<string> {
  const file = join(folder, `${place}.json`);
  const { mtimeMs } = await stat(file);
  const known = answers.get(place);
  if (known?.mtimeMs === mtimeMs) return known.body;
  const keyring = toKeyring(parseKeyringFile(file, await readFile(file, 'utf8')));
  const { service, host } = keyring;
  const body = JSON.stringify({ service, host, keys: loadedKeys(keyring) });
  answers.set(place, { mtimeMs, body });
  return body;
}

const ports = await Promise.all(
  places.map(async (place) => {
    const server = createServer((_, response) => {
      statusOf(place).then(
        (body) => response.end(body),
        () => response.writeHead(500).end(),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }),
);
process.stdout.write(`${JSON.stringify(ports)}\n`);
