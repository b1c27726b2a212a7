import type { SidecarConfig } from '../config/sidecar-config.ts';
import type { UpstreamHost } from '../connections/host-pool.ts';
import type { Pipeline } from '../connections/pipeline.ts';
import type { Downstream } from '../connections/server-connection.ts';
import { Exchange } from '../exchange/exchange.ts';
import type { Side } from '../exchange/side.ts';
import { dropTable } from '../http1/field-lines.ts';
import { reparsed } from '../http1/head-parser.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { requestIdOf } from '../http1/request-id.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { contentDigest } from '../signature/content-digest.ts';
import { streamingTrailers } from '../signature/coverage-rules.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { malformed } from '../terms/call-record.ts';
import { fieldId, responseHopFields, serviceAnswerFields } from '../terms/field-names.ts';
import { type DenialReason, reasons } from '../terms/reasons.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { Callee, Callees } from './callees.ts';
import { composeForCallee, type SignedHead, type SigningKey } from './compose.ts';
import type { Added } from './outgoing-request.ts';
import { signedComponents } from './signed-components.ts';
import { SignedTrailer } from './signed-trailer.ts';

/** What outbound works with; the keyring is a snapshot that a reload replaces. */
export interface OutboundParts {
  readonly config: SidecarConfig;
  readonly telemetry: Telemetry;
  readonly callees: Callees;
  keyring: Keyring;
}

const trailer = streamingTrailers.join(', ');

/** The local app to its callees: find the callee, sign, send. */
export class Outbound implements Pipeline, Side {
  readonly direction = 'outbound';
  readonly absoluteFormReplacesHost = true;
  readonly limits: Pipeline['limits'];
  readonly timeouts: Pipeline['timeouts'];
  /** The field that marks refusals stays: by it the app tells a sidecar's answer from the callee's own. */
  readonly responseDrop = dropTable(...responseHopFields, ...serviceAnswerFields);
  draining = false;
  readonly connections = new Set<Downstream>();
  readonly #parts: OutboundParts;
  readonly #tunnels = new Set<Exchange>();

  constructor(parts: OutboundParts) {
    const { limits, timeouts } = parts.config;
    this.#parts = parts;
    this.limits = limits;
    this.timeouts = timeouts;
  }

  onRequest(downstream: Downstream, head: RequestHead): void {
    const exchange = new Exchange(this, downstream, head, requestIdOf(head.known(fieldId['x-request-id'])));
    exchange.caller = this.#parts.config.service;
    const callee = this.#parts.callees.find(downstream.route ?? head.authority);
    if (callee === undefined) {
      exchange.callee = downstream.route ?? head.authority;
      exchange.refuse(
        {
          reason: 'unknown-callee',
          detail: `There is no service "${exchange.callee}" in the fleet; known are ${this.#parts.callees.names}.`,
        },
        head.hasBody,
      );
      return;
    }
    exchange.callee = callee.name;
    exchange.verdict = { allowed: true, rule: '' };
    if (head.isSafe)
      exchange.sendAnew = () => this.#send(exchange, reparsed(exchange.sentHead), callee, undefined);
    if (!head.hasBody) this.#send(exchange, head, callee, undefined);
    else if (
      head.body === 'length' &&
      head.contentLength <= this.#parts.config.limits.body_buffer &&
      !head.expects
    ) {
      downstream.collect(head, (head, body) => this.#send(exchange, head, callee, body));
    } else this.#stream(exchange, head.copy(), callee);
  }

  /** A call whose body is at hand: its digest goes into the head. */
  #send(exchange: Exchange, head: RequestHead, callee: Callee, body: Buffer | undefined): void {
    const added: Added = {
      service: this.#parts.config.service,
      callee: callee.name,
      digest: body === undefined ? undefined : contentDigest(body),
      length: body === undefined ? emptyLength(head) : String(body.length),
      trailer: undefined,
      streamedLength: undefined,
    };
    // The head outlives this turn only when another host may have to be tried.
    const kept = callee.hosts.length > 1 ? head.copy() : head;
    exchange.send(
      callee.hosts,
      (host) => this.#compose(exchange, kept, added, callee, host).signed.text,
      body,
    );
  }

  /** A call whose body is passed on as it comes: its digest is signed behind it. */
  #stream(exchange: Exchange, head: RequestHead, callee: Callee): void {
    const added: Added = {
      service: this.#parts.config.service,
      callee: callee.name,
      digest: undefined,
      length: undefined,
      trailer,
      streamedLength: head.body === 'length' ? String(head.contentLength) : undefined,
    };
    let signing: { head: SignedHead; key: SigningKey } | undefined;
    const compose = (host: UpstreamHost) => {
      const { signed, key } = this.#compose(exchange, head, added, callee, host);
      signing = key === undefined ? undefined : { head: signed, key };
      return signed.text;
    };
    exchange.stream(callee.hosts, compose, 'chunked', 0, new SignedTrailer(() => signing));
    exchange.downstream.stream(head);
  }

  #compose(exchange: Exchange, head: RequestHead, added: Added, callee: Callee, host: UpstreamHost) {
    const keys = this.#parts.keyring.outbound.get(callee.name);
    const pair = keys?.keys.get(host.address);
    const key = keys === undefined || pair === undefined ? undefined : { kid: keys.kid, key: pair };
    exchange.kid = key?.kid;
    return { signed: composeForCallee(head, added, exchange.requestId, key, Date.now()), key };
  }

  onMalformed(_downstream: Downstream | undefined, refusal: Refusal): string {
    const requestId = requestIdOf(undefined);
    const { telemetry, config } = this.#parts;
    telemetry.record(malformed('outbound', requestId, config.service, '', refusal));
    return requestId;
  }

  /** Always: the callee's replay memory accepts the same signature once, so even a POST happens at most once. */
  mayResend(): boolean {
    return true;
  }

  onResponse(exchange: Exchange, head: ResponseHead): Refusal | undefined {
    const reason = reasonIn(head, fieldId['x-service-refusal']);
    if (reason === undefined) {
      // Denied and forwarded: for the app an answer like any other.
      const denied = reasonIn(head, fieldId['x-service-denial']);
      if (denied !== undefined) this.#keepSigned(exchange, denied);
      return undefined;
    }
    if (exchange.resent && (reason === 'replayed' || reason === 'memory-lost')) {
      return {
        reason: 'upstream-failed',
        detail: `${exchange.callee} closed the connection without an answer, and says of the same call sent again: ${reason}. It may have been carried out.`,
      };
    }
    const unsigned =
      exchange.kid === undefined
        ? ` It left unsigned, for the keyring here has no key for ${exchange.callee}: see countersign keys status.`
        : '';
    const detail = `${exchange.callee} refused the call: ${reason}.${unsigned} Ask its sidecar for request ${exchange.requestId}.`;
    exchange.verdict = { allowed: false, denial: { reason, detail } };
    this.#keepSigned(exchange, reason);
    return undefined;
  }

  /** What was signed of a call that the callee's sidecar denied, for `countersign why`. */
  #keepSigned(exchange: Exchange, reason: DenialReason): void {
    const components = signedComponents(exchange.sentHead);
    if (components === undefined) return;
    const { requestId, callee, method, path, kid } = exchange;
    const signer = kid === undefined ? undefined : { kid };
    this.#parts.telemetry.signedMismatch({ requestId, callee, method, path, ...signer, reason, components });
  }

  /** None: the app gets the callee's answer. */
  responseLines(): string {
    return '';
  }

  onTunnel(exchange: Exchange): void {
    this.#tunnels.add(exchange);
  }

  /** Ends the tunnels to callees that this service has no key for any more. */
  onKeyring(keyring: Keyring): void {
    this.#parts.keyring = keyring;
    for (const tunnel of this.#tunnels) if (!keyring.outbound.has(tunnel.callee)) tunnel.abort();
  }

  onEnd(exchange: Exchange): void {
    this.#parts.telemetry.record(exchange);
  }

  onClosed(downstream: Downstream, exchange: Exchange | undefined): void {
    this.connections.delete(downstream);
    this.#parts.telemetry.connections('outbound', -1);
    if (exchange !== undefined) this.#tunnels.delete(exchange);
  }
}

/** The reason that a field gives. Only a sidecar's words count: a response with others is one like any other. */
function reasonIn(head: ResponseHead, id: number): DenialReason | undefined {
  if (head.countOf[id] === 0) return undefined;
  const said = head.known(id) as string;
  return Object.hasOwn(reasons, said) ? (said as DenialReason) : undefined;
}

/** Content-Length of a request that says its body is empty; methods that expect a body need the 0. */
function emptyLength(head: RequestHead): string | undefined {
  return head.body === 'length' ? '0' : undefined;
}
