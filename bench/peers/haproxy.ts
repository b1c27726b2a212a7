import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mostConnections } from '../descriptors.ts';
import { baseFiller, usualCall } from '../load/signer.ts';
import { freePort, start } from '../processes.ts';
import type { Peer, Place } from './peer.ts';
import { versionOf } from './version-of.ts';

const program = '/usr/sbin/haproxy';

const frame = (port: number, app: number, rules: string) => `global
  nbthread 1
  maxconn ${mostConnections()}
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 120s
  timeout http-request 10s
  http-reuse always
frontend in
  bind 127.0.0.1:${port} backlog 4096
${rules}
  default_backend app
backend app
  server app 127.0.0.1:${app} pool-max-conn 256
backend nonces
  stick-table type string len 64 size 2m expire 301s store gpc0
`;

/** Window, MAC, nonce and rules in the order of ours; then the identity fields go and others come. */
const checks = (filler: string) => `
  acl health path /api/health
  acl open path /api/open
  acl public_path path /api/health /api/open
  http-request set-var(txn.kid) req.hdr(x-key-id)
  http-request set-var(txn.caller) req.hdr(x-service-id)
  http-request set-var(txn.key) var(txn.kid),map_str(keys.map)
  http-request set-var(txn.created) req.hdr(x-created)
  http-request set-var(txn.age) date,sub(txn.created)
  http-request set-var-fmt(txn.nonce) "%[var(txn.kid)] %[req.hdr(x-nonce)]"
  http-request set-var-fmt(txn.base) "%[method]|%[req.hdr(host),lower]|%[path]|%[query]|%[var(txn.caller)]|%[var(txn.kid)]|%[var(txn.created)]|%[req.hdr(x-nonce)]|${filler}"
  http-request set-var(txn.expected) var(txn.base),hmac(sha256,txn.key),base64
  http-request set-var(txn.mac) req.hdr(x-mac)
  acl known_key var(txn.key) -m found
  acl has_mac var(txn.mac) -m found
  acl own_key var(txn.kid),field(1,/),strcmp(txn.caller) eq 0
  acl audience req.hdr(host) -i npu-worker
  acl not_old var(txn.age) -m int le 300
  acl not_ahead var(txn.age),add(300) -m int ge 0
  acl mac_holds var(txn.expected),secure_memcmp(txn.mac)
  http-request deny deny_status 401 unless has_mac known_key own_key audience not_old not_ahead mac_holds or METH_GET health or METH_POST open
  http-request track-sc0 var(txn.nonce) table nonces unless public_path
  http-request deny deny_status 401 if { sc_inc_gpc0(0) gt 1 } !public_path
  acl rule_status path -m reg ^/api/status/[^/]+$
  acl rule_process path /api/process
  acl main_backend var(txn.caller) -m str main-backend
  http-request deny deny_status 403 unless main_backend METH_GET rule_status or main_backend METH_POST rule_process or METH_GET health or METH_POST open
  http-request del-header x-key-id
  http-request del-header x-created
  http-request del-header x-nonce
  http-request del-header x-mac
  http-request del-header x-service- -m beg
  http-request set-header x-service-id %[var(txn.caller)] unless public_path
  http-request set-header x-forwarded-for %[src]
  http-request set-header x-forwarded-proto http
  http-request set-header x-forwarded-host %[req.hdr(host)]
  http-request set-header x-request-id %[uuid()]
`;

async function startHaproxy(place: Place, rules: string) {
  const port = await freePort();
  const file = join(place.folder, 'haproxy.cfg');
  await writeFile(file, frame(port, place.app, rules));
  await writeFile(join(place.folder, 'keys.map'), `${place.identity.kid} ${place.identity.key}\n`, {
    mode: 0o600,
  });
  const { pid, stop } = await start(program, ['-db', '-f', file], {
    cores: place.cores,
    port,
    cwd: place.folder,
  });
  return { port, pids: [pid], stop };
}

const common = {
  packages: { haproxy: program },
  version: () => versionOf(program, ['-v']),
};

export const haproxyEqual: Peer = {
  ...common,
  id: 'haproxy-equal',
  title: 'HAProxy, equal work',
  dialect: 'fields',
  checks: true,
  note: 'reads plain fields: it cannot parse RFC 9421',
  start: (place) => startHaproxy(place, checks(baseFiller(usualCall, place.identity))),
};

export const haproxyPlain: Peer = {
  ...common,
  id: 'haproxy-plain',
  title: 'HAProxy, no checks',
  dialect: 'plain',
  checks: false,
  start: (place) => startHaproxy(place, ''),
};
