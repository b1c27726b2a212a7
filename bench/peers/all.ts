import { bare } from './bare.ts';
import { countersignInbound } from './countersign-inbound.ts';
import { countersignPair } from './countersign-pair.ts';
import { fastifyHttpProxy } from './fastify-http-proxy.ts';
import { haproxyEqual, haproxyEqualNonce, haproxyPlain } from './haproxy.ts';
import { haproxyPair } from './haproxy-pair.ts';
import { httpProxy3 } from './http-proxy-3.ts';
import { nginxLua, nginxPlain } from './nginx.ts';
import { nodeHttpUndici } from './node-http-undici.ts';
import type { Peer } from './peer.ts';
import { splice } from './splice.ts';
import { stunnelInbound } from './stunnel.ts';

/** In the order of the table. */
export const peers: readonly Peer[] = [
  bare,
  splice,
  haproxyPlain,
  nginxPlain,
  countersignInbound,
  haproxyEqual,
  haproxyEqualNonce,
  nginxLua,
  nodeHttpUndici,
  httpProxy3,
  fastifyHttpProxy,
  countersignPair,
  haproxyPair,
  stunnelInbound,
];
