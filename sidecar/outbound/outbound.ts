import { continueTrace, type Span, traceparentOf } from '../../signals/trace-context.ts';
import type { SidecarConfig } from '../config/sidecar-config.ts';
import type { CallerEnd, Destination, RequestHandler } from '../exchange/ends.ts';
import { Exchange } from '../exchange/exchange.ts';
import { GuardedBody } from '../exchange/guarded-body.ts';
import type { Call, CallFacts, Prepared, Role } from '../exchange/role.ts';
import { SentBody } from '../exchange/sent-body.ts';
import { dropTable } from '../http1/field-lines.ts';
import { reparsed } from '../http1/head-parser.ts';
import { type RequestToSend, requestText } from '../http1/outgoing-message.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { requestIdOf } from '../http1/request-id.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { contentDigest } from '../signature/content-digest.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { type CallRecord, malformed } from '../terms/call-record.ts';
import { fieldId, responseHopFields, serviceAnswerFields } from '../terms/field-names.ts';
import { type HandshakeFailure, handshakeFailures } from '../terms/handshake.ts';
import { Permit } from '../terms/permit.ts';
import { type DenialReason, reasons } from '../terms/reasons.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { ApplyVerdict, Verdict } from '../terms/verdict.ts';
import type { Callee, Callees } from './callees.ts';
import { composeForCallee } from './compose.ts';
import type { Added, OutgoingBody } from './outgoing-request.ts';
import { signedComponents } from './signed-components.ts';
import { SignedTrailer } from './signed-trailer.ts';

/** What outbound works with; the keyring is a snapshot that a reload replaces. */
export interface OutboundDependencies {
  readonly config: SidecarConfig;
  readonly telemetry: Telemetry;
  readonly callees: Callees;
  readonly applyVerdict: ApplyVerdict;
  keyring: Keyring;
}

/** The caller is the local app: whether its call is allowed is for the callee's sidecar to say. */
const allowed: Verdict = { allowed: true, rule: '' };

/** The local app to its callees: find the callee, sign, send. */
export class Outbound implements RequestHandler, Role {
  readonly direction = 'outbound';
  readonly absoluteFormReplacesHost = true;
  readonly limits: RequestHandler['limits'];
  readonly timeouts: RequestHandler['timeouts'];
  /** The field that marks refusals stays: by it the app tells a sidecar's answer from the callee's own. */
  readonly responseDrop = dropTable(...responseHopFields, ...serviceAnswerFields);
  draining = false;
  readonly #given: OutboundDependencies;
  readonly #tunnels = new Set<Call>();

  constructor(dependencies: OutboundDependencies) {
    const { limits, timeouts } = dependencies.config;
    this.#given = dependencies;
    this.limits = limits;
    this.timeouts = timeouts;
  }

  onRequest(caller: CallerEnd, head: RequestHead): void {
    const startedAtMs = performance.now();
    const { config, callees } = this.#given;
    const named = caller.route ?? head.authority;
    const callee = callees.find(named);
    const requestId = requestIdOf(head.known(fieldId['x-request-id']));
    const facts: CallFacts = {
      caller: config.service,
      callee: callee?.name ?? named,
      claimed: undefined,
      kid: undefined,
      skewSeconds: undefined,
      hop: undefined,
      verdict: allowed,
    };
    const exchange = new Exchange(this, caller, head, requestId, facts, startedAtMs);
    caller.begin(exchange);
    if (callee === undefined) {
      exchange.refuse(this.#unknownCallee(named), head.hasBody);
      return;
    }
    const dropped = callees.coveredFields.find((name) => head.hopByHop?.has(name));
    if (dropped !== undefined) {
      const detail = `Connection names "${dropped}", which the signature has to cover.`;
      exchange.refuse({ reason: 'malformed-request', detail }, true);
      return;
    }
    head.discardLookalikes(callees.coveredFields);
    this.#dispatch(exchange, head, callee);
  }

  /**
   * Sends a call: inside TLS, its body as it comes. Where a host does not prove the pair key, the binary's function says
   * whether the call goes there in the clear, with a digest.
   */
  #dispatch(exchange: Call, head: RequestHead, callee: Callee): void {
    const { body_buffer } = this.#given.config.limits;
    if (!head.hasBody) this.#send(exchange, head, callee, undefined, head.isSafe);
    else if (
      head.body === 'length' &&
      head.contentLength <= body_buffer &&
      !head.expects &&
      (exchange.callerEnd.hasWholeBody(head) || callee.hosts.some((host) => host.unproven !== undefined))
    ) {
      // What is here already leaves with its head; and where a digest stands in the head, all of it has to be here first.
      exchange.collect(head, (head, body) => this.#send(exchange, head, callee, body, false));
    } else this.#stream(exchange, head, callee);
  }

  #unknownCallee(named: string): Refusal {
    return {
      reason: 'unknown-callee',
      detail: `There is no service "${named}" in the fleet; known are ${this.#given.callees.names}.`,
    };
  }

  /** A call whose body is at hand. */
  #send(
    exchange: Call,
    head: RequestHead,
    callee: Callee,
    body: Buffer | undefined,
    shareable: boolean,
  ): void {
    const { hosts: destinations } = callee;
    // The head outlives this turn when another host may have to be tried.
    const kept = destinations.length === 1 ? head : head.keep();
    const prepare = (host: Destination): Prepared | Refusal => {
      const way = this.#way(exchange, callee, host);
      if (!('permit' in way)) return way;
      const proven: OutgoingBody =
        body === undefined
          ? { proof: 'none', length: emptyLength(kept) }
          : way.sealed
            ? { proof: 'tls', length: body.length }
            : { proof: 'digest', length: body.length, digest: contentDigest(body) };
      const { request } = this.#compose(exchange, kept, proven, callee, host).signed;
      return { ...way, request, body, shareable };
    };
    exchange.send({ destinations, prepared: prepare, isStreamed: false });
  }

  /** A call whose body is passed on as it comes: inside TLS as it is, in the clear with its digest signed behind it. */
  #stream(exchange: Call, head: RequestHead, callee: Callee): void {
    const { hosts: destinations } = callee;
    const kept = destinations.length === 1 ? head : head.keep();
    const length = head.body === 'length' ? head.contentLength : undefined;
    const prepare = (host: Destination): Prepared | Refusal => {
      const way = this.#way(exchange, callee, host);
      if (!('permit' in way)) return way;
      if (way.sealed) {
        const { request } = this.#compose(exchange, kept, { proof: 'tls', length }, callee, host).signed;
        const body = new SentBody(length, this.#given.config.limits.body_buffer);
        return { ...way, request, body, shareable: false };
      }
      const { signed, key } = this.#compose(exchange, kept, { proof: 'trailer', length }, callee, host);
      const signing = key === undefined ? undefined : { head: signed, key };
      const body = new GuardedBody(undefined, new SignedTrailer(signing));
      return { ...way, request: signed.request, body, shareable: false };
    };
    exchange.send({ destinations, prepared: prepare, isStreamed: true });
    if (exchange.isWaiting) exchange.callerEnd.stream(head);
  }

  /** How a call goes to a host, or why it does not go there. */
  #way({ facts }: Call, callee: Callee, host: Destination): Pick<Prepared, 'permit' | 'sealed'> | Refusal {
    const { unproven } = host;
    const sealed = unproven === undefined;
    const verdict: Verdict = sealed ? allowed : peerUnproven(callee, host, unproven);
    const permit = Permit.ask(this.#given.applyVerdict, verdict);
    facts.verdict = verdict;
    facts.hop = sealed ? host.hops.sealed : host.hops.plain;
    return permit instanceof Permit ? { permit, sealed } : permit;
  }

  /** A host did not prove itself, and nothing was sent: the call is prepared again, now that this is known. */
  prepareAgain(exchange: Call, { request, body }: Prepared): void {
    const callee = this.#given.callees.find(exchange.facts.callee);
    if (callee === undefined) {
      exchange.refuse(this.#unknownCallee(exchange.facts.callee));
      return;
    }
    const head = reparsed(requestText(request));
    if (body instanceof Buffer) this.#send(exchange, head, callee, body, false);
    else {
      this.#dispatch(exchange, head, callee);
      if (head.hasBody && exchange.canReadBody) exchange.callerEnd.resume();
    }
  }

  /** Signs a safe request again that shared a connection, and sends it on one of its own. */
  sendAgain(exchange: Call, sent: RequestToSend): void {
    const callee = this.#given.callees.find(exchange.facts.callee);
    if (callee === undefined) exchange.refuse(this.#unknownCallee(exchange.facts.callee));
    else this.#send(exchange, reparsed(requestText(sent)), callee, undefined, false);
  }

  #compose(exchange: Call, head: RequestHead, body: OutgoingBody, callee: Callee, host: Destination) {
    const { config, keyring, callees } = this.#given;
    const keys = keyring.outbound.get(callee.name);
    const pair = keys?.keys.get(host.address);
    const key = keys === undefined || pair === undefined ? undefined : { kid: keys.kid, key: pair };
    const { coveredFields } = callees;
    const { span } = exchange;
    const traceparent = span === undefined ? undefined : traceparentOf(span);
    const added: Added = { service: config.service, callee: callee.name, coveredFields, traceparent, body };
    exchange.facts.kid = key?.kid;
    return { signed: composeForCallee(head, added, exchange.requestId, key, Date.now()), key };
  }

  onMalformed(refusal: Refusal): string {
    const requestId = requestIdOf(undefined);
    const { telemetry, config } = this.#given;
    telemetry.record(malformed('outbound', requestId, config.service, '', refusal));
    return requestId;
  }

  /** Always: the callee's replay memory accepts the same signature once, so even a POST happens at most once. */
  mayResend(): boolean {
    return true;
  }

  onResponse(exchange: Call, head: ResponseHead): Refusal | undefined {
    const reason = reasonIn(head, fieldId['x-service-refusal']);
    if (reason === undefined) {
      // Denied and forwarded: for the app an answer like any other.
      const denied = reasonIn(head, fieldId['x-service-denial']);
      if (denied !== undefined) this.#keepSigned(exchange, denied);
      return undefined;
    }
    const { requestId, facts } = exchange;
    if (exchange.wasResent && (reason === 'replayed' || reason === 'memory-lost')) {
      return {
        reason: 'upstream-failed',
        detail: `${facts.callee} closed the connection without an answer, and says of the same call sent again: ${reason}. It may have been carried out.`,
      };
    }
    const unsigned =
      facts.kid === undefined
        ? ` It left unsigned, for the keyring here has no key for ${facts.callee}: see countersign keys status.`
        : '';
    const detail = `${facts.callee} refused the call: ${reason}.${unsigned} Ask its sidecar for request ${requestId}.`;
    facts.verdict = { allowed: false, denial: { reason, detail } };
    this.#keepSigned(exchange, reason);
    return undefined;
  }

  /** What was signed of a call that the callee's sidecar denied, for `countersign why`. */
  #keepSigned({ sent, requestId, method, path, facts }: Call, reason: DenialReason): void {
    const components = sent === undefined ? undefined : signedComponents(sent);
    if (components === undefined) return;
    const { callee, kid } = facts;
    const signer = kid === undefined ? undefined : { kid };
    this.#given.telemetry.signedMismatch({ requestId, callee, method, path, ...signer, reason, components });
  }

  /** None: the app gets the callee's answer. */
  addResponseFields(): void {}

  onTunnel(exchange: Call): void {
    this.#tunnels.add(exchange);
  }

  /** Ends the tunnels to callees that this service has no key for any more. */
  onKeyring(keyring: Keyring): void {
    this.#given.keyring = keyring;
    this.#given.callees.useKeyring(keyring);
    for (const tunnel of this.#tunnels) if (!keyring.outbound.has(tunnel.facts.callee)) tunnel.abort();
  }

  onTunnelEnd(exchange: Call): void {
    this.#tunnels.delete(exchange);
  }

  onStart(_facts: CallFacts, head: RequestHead): Span | undefined {
    const { telemetry } = this.#given;
    telemetry.callStarted('outbound');
    return telemetry.tracesCalls ? continueTrace(head.known(fieldId.traceparent)) : undefined;
  }

  onEnd(call: CallRecord): void {
    this.#given.telemetry.callEnded(call);
  }
}

/** The verdict of a call whose host did not prove itself. */
function peerUnproven({ name }: Callee, { address, port }: Destination, failure: HandshakeFailure): Verdict {
  const detail = `${name} at ${address}:${port} did not prove the pair key: ${handshakeFailures[failure]}.`;
  return { allowed: false, denial: { reason: 'peer-unproven', detail, received: failure } };
}

/** The reason that a field gives. Only a sidecar's words count: a response with others is one like any other. */
function reasonIn(head: ResponseHead, id: number): DenialReason | undefined {
  if (head.countOf[id] === 0) return undefined;
  const said = head.known(id) as string;
  return Object.hasOwn(reasons, said) ? (said as DenialReason) : undefined;
}

/** Content-Length of a request that says its body is empty; methods that expect a body need the 0. */
function emptyLength(head: RequestHead): 0 | undefined {
  return head.body === 'length' ? 0 : undefined;
}
