import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../processes.ts';
import { haproxy, haproxyConfig, startHaproxy, writeKeys } from './haproxy.ts';
import { checkingRules, replayTable, signingRules } from './haproxy-rules.ts';
import type { Peer } from './peer.ts';

/** The suite and the group of our own hop. */
const tls = 'ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256 curves X25519 alpn http/1.1';

/** Two of them on one core, TLS between: the first signs, the second checks; connections and sessions are used again. */
export const haproxyPair: Peer = {
  ...haproxy,
  id: 'haproxy-pair',
  title: 'HAProxy → HAProxy with TLS, signs and checks',
  dialect: 'plain',
  checks: false,
  note: 'two proxies; certificates instead of keys of pairs',
  async start(place) {
    const [port, next] = [await freePort(), await freePort()];
    await writeKeys(place);
    await makeCertificate(place.folder, place.identity.callee);
    const checks = checkingRules(place.identity, 'mac', false);
    const inbound = await startHaproxy(
      place,
      next,
      'inbound',
      haproxyConfig(next, place.app, checks, replayTable('mac'), 'default', {
        bind: ` ssl crt ${place.folder}/both.pem ${tls}`,
      }),
    );
    const outbound = await startHaproxy(
      place,
      port,
      'outbound',
      haproxyConfig(port, next, signingRules(place.identity, port), '', 'default', {
        server: ` ssl verify required ca-file ${place.folder}/certificate.pem sni str(${place.identity.callee}) ${tls}`,
      }),
    );
    return {
      port,
      pids: [...outbound.pids, ...inbound.pids],
      stop: async () => {
        await Promise.all([outbound.stop(), inbound.stop()]);
      },
    };
  },
};

/** A certificate that signs itself, on P-256. */
async function makeCertificate(folder: string, name: string): Promise<void> {
  const files = { key: join(folder, 'key.pem'), certificate: join(folder, 'certificate.pem') };
  const { status, stderr } = spawnSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-days', '30'],
      ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`],
      ...['-keyout', files.key, '-out', files.certificate],
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`openssl made no certificate: ${stderr}`);
  const both = `${await readFile(files.certificate, 'utf8')}${await readFile(files.key, 'utf8')}`;
  await writeFile(join(folder, 'both.pem'), both, { mode: 0o600 });
}
