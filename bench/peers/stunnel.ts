import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unstableProgram } from '../debian.ts';
import { freePort, start } from '../processes.ts';
import { callee } from './fleet.ts';
import { configure, startSidecar } from './our-sidecar.ts';
import type { Peer, Place } from './peer.ts';
import { versionOf } from './version-of.ts';

const program = 'usr/bin/stunnel';
/** Nobody's secret: a run has its own processes and its own folder. */
const psk = '7'.repeat(64);

const configuration = (place: Place, client: boolean, accept: number, connect: number) => `foreground = yes
pid =
debug = 3
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[hop]
client = ${client ? 'yes' : 'no'}
accept = 127.0.0.1:${accept}
connect = 127.0.0.1:${connect}
PSKsecrets = ${place.folder}/psk.txt
sslVersion = TLSv1.3
ciphersuites = TLS_AES_128_GCM_SHA256
curves = X25519
`;

async function startStunnel(place: Place, client: boolean, accept: number, connect: number) {
  const file = join(place.folder, client ? 'client.conf' : 'server.conf');
  await writeFile(file, configuration(place, client, accept, connect), { mode: 0o600 });
  const [command, ...words] = unstableProgram(program);
  return start(command, [...words, file], { cores: place.cores, port: accept, cwd: place.folder });
}

/** TLS 1.3 with a pre-shared key by two stunnels, and our inbound behind them: the generator signs. */
export const stunnelInbound: Peer = {
  id: 'stunnel-inbound',
  title: 'stunnel → stunnel with PSK → Countersign inbound',
  dialect: 'rfc9421',
  checks: true,
  unstable: true,
  note: 'three processes; the generator signs',
  version: () => versionOf(...unstableProgram(program), '-version'),
  async start(place) {
    const [port, hop] = [await freePort(), await freePort()];
    await writeFile(join(place.folder, 'psk.txt'), `bench:${psk}\n`, { mode: 0o600 });
    const sidecars = await configure(place, {
      further: 'limits: { unproven_connections: 12000, per_address: 12000 }',
    });
    const inbound = await startSidecar(sidecars, callee, place.cores);
    const server = await startStunnel(place, false, hop, sidecars.inboundPort);
    const client = await startStunnel(place, true, port, hop);
    return {
      port,
      pids: [client.pid, server.pid, inbound.pid],
      stop: async () => {
        await Promise.all([client.stop(), server.stop(), inbound.stop()]);
      },
    };
  },
};
