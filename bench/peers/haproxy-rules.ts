/** What HAProxy is told to do, as configuration: the same checks and fields as ours, and the signing of a caller. */
import { baseFiller, type Identity, usualCall } from '../load/signer.ts';

/**
 * What a used request is remembered by: the nonce as 16 bytes, or the MAC, which covers nonce and caller and has been
 * computed already.
 */
export type ReplayKey = 'nonce' | 'mac';

const facts = (identity: Identity, caller: string, kid: string, created: string, nonce: string) =>
  `%[method]|%[req.hdr(host),lower]|%[path]|%[query]|${caller}|${kid}|${created}|${nonce}|%[req.hdr(content-type)]|%[req.hdr(content-digest)]|${baseFiller(usualCall, identity)}`;

/** The table of used requests. */
export const replayTable = (key: ReplayKey) => `backend nonces
  stick-table type binary len ${key === 'nonce' ? 16 : 32} size 2m expire 301s store gpc0
`;

/**
 * Window, MAC, nonce and rules in the order of ours; then the identity fields go and others come.
 *
 * @param digests whether the body must have the digest that its field says
 */
export function checkingRules(identity: Identity, replayKey: ReplayKey, digests: boolean): string {
  const base = facts(
    identity,
    '%[var(txn.caller)]',
    '%[var(txn.kid)]',
    '%[req.hdr(x-created)]',
    '%[req.hdr(x-nonce)]',
  );
  const used = replayKey === 'nonce' ? 'req.hdr(x-nonce),ub64dec' : 'var(txn.expected)';
  return `
  acl health path /api/health
  acl open path /api/open
  acl public_path path /api/health /api/open
  http-request set-var(txn.kid) req.hdr(x-key-id)
  http-request set-var(txn.caller) req.hdr(x-service-id)
  http-request set-var(txn.key) var(txn.kid),map_str(keys.map)
  http-request set-var(txn.created) req.hdr(x-created)
  http-request set-var(txn.age) date,sub(txn.created)
  http-request set-var(txn.given) req.hdr(x-mac),b64dec
  http-request set-var-fmt(txn.base) "${base}"
  http-request set-var(txn.expected) var(txn.base),hmac(sha256,txn.key)
  acl known_key var(txn.key) -m found
  acl has_mac var(txn.given) -m found
  acl own_key var(txn.kid),field(1,/),strcmp(txn.caller) eq 0
  acl audience req.hdr(host) -i npu-worker
  acl not_old var(txn.age) -m int le 300
  acl not_ahead var(txn.age),add(300) -m int ge 0
  acl mac_holds var(txn.expected),secure_memcmp(txn.given)
  http-request deny deny_status 401 unless has_mac known_key own_key audience not_old not_ahead mac_holds or METH_GET health or METH_POST open
  http-request track-sc0 ${used} table nonces unless public_path
  http-request deny deny_status 401 if { sc_inc_gpc0(0) gt 1 } !public_path
${digests ? digestRules : ''}  acl rule_status path -m reg ^/api/status/[^/]+$
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
  http-request set-header x-request-id "bench-%rt"
`;
}

const digestRules = `  http-request set-var-fmt(txn.digest) "sha-256=:%[req.body,sha2(256),base64]:"
  acl digest_holds req.hdr(content-digest),strcmp(txn.digest) eq 0
  http-request deny deny_status 401 if { req.body_len gt 0 } !digest_holds !public_path
`;

/** Signs as a caller's side does: a nonce from a counter, for HAProxy's random ones would be dearer. */
export function signingRules(identity: Identity, port: number): string {
  const { kid, caller, key } = identity;
  const base = facts(identity, caller, kid, '%[var(txn.created)]', '%[var(txn.nonce)]');
  return `
  http-request del-header x-service- -m beg
  http-request set-var(txn.created) date
  http-request set-var-fmt(txn.nonce) "n${Date.now().toString(36)}-${port}-%rt"
  http-request set-var-fmt(txn.base) "${base}"
  http-request set-header x-service-id ${caller}
  http-request set-header x-key-id ${kid}
  http-request set-header x-created %[var(txn.created)]
  http-request set-header x-nonce %[var(txn.nonce)]
  http-request set-header x-mac %[var(txn.base),hmac(sha256,${key}),base64]
`;
}
