import { epochMs, logJson, spanJson } from '../../signals/otlp.ts';
import type { Span } from '../../signals/trace-context.ts';
import { withoutTokens } from '../policy/path-template.ts';
import { textOfLabel } from '../policy/rule.ts';
import type { CallRecord } from '../terms/call-record.ts';
import type { DenialEntry } from './denial-ring.ts';
import { explain } from './explain.ts';

/** Methods of OpenTelemetry's HTTP conventions; any other is `_OTHER` there. */
const knownMethods = new Set('CONNECT DELETE GET HEAD OPTIONS PATCH POST PUT TRACE QUERY'.split(' '));

/** Why a call was denied or refused; undefined of an allowed one. */
export function reasonOf({ verdict }: CallRecord): string | undefined {
  if ('refused' in verdict) return verdict.refused;
  return verdict.allowed ? undefined : verdict.denial.reason;
}

/**
 * The span of a call, by OpenTelemetry's HTTP conventions: that of a server on inbound, of a client on outbound.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/
 */
export function callSpan(call: CallRecord, span: Span): string {
  const { direction, verdict, method, status, hop } = call;
  const reason = reasonOf(call);
  const rule = 'refused' in verdict || !verdict.allowed || verdict.rule === '' ? undefined : verdict.rule;
  const route = rule === undefined ? undefined : textOfLabel(rule);
  const known = knownMethods.has(method) ? method : '_OTHER';
  const path = route?.slice(route.indexOf(' ') + 1);
  const callee = call.callee.slice(0, 255);
  const name = known === '_OTHER' ? 'HTTP' : known;
  // A 4xx is the fault of the client: of a server's span it makes no error.
  const failed = status === 0 || status >= (direction === 'inbound' ? 500 : 400);
  const error = reason ?? (failed ? String(status) : undefined);
  return spanJson({
    span,
    name: path === undefined ? `${name} ${callee}` : `${name} ${path}`,
    kind: direction === 'inbound' ? 'server' : 'client',
    startMs: epochMs(call.startedAtMs),
    endMs: epochMs(call.endedAtMs),
    error,
    attributes: {
      'http.request.method': known,
      'http.request.method_original': known === '_OTHER' ? method.slice(0, 64) : undefined,
      'http.response.status_code': status === 0 ? undefined : status,
      'http.route': path,
      'url.path': withoutTokens(call.path.slice(0, 1024)),
      'url.scheme': 'http',
      'server.address': callee,
      'network.peer.address': hop?.host,
      'error.type': error,
      'countersign.direction': direction,
      'countersign.caller': call.caller,
      'countersign.verdict': reason === undefined ? 'allowed' : 'denied',
      'countersign.reason': reason,
      'countersign.route': route,
      'countersign.disposition': call.disposition,
      'countersign.kid': call.kid,
      'countersign.sealed': hop?.sealed,
      'countersign.request_id': call.requestId,
      'countersign.overhead_ms': call.overheadMs,
    },
  });
}

/** A denial as an OTLP log record. @param span of its call, if it has one */
export function denialLog(entry: DenialEntry, span: Span | undefined): string {
  return logJson({
    timeMs: entry.timeMs,
    event: 'countersign.denial',
    body: explain(entry),
    span,
    attributes: {
      'http.request.method': entry.method,
      'http.response.status_code': entry.status === 0 ? undefined : entry.status,
      'url.path': entry.path,
      'server.address': entry.callee,
      'countersign.direction': entry.direction,
      'countersign.caller': entry.caller,
      'countersign.claimed': entry.claimed,
      'countersign.reason': entry.reason,
      'countersign.detail': entry.detail,
      'countersign.rule': entry.rule,
      'countersign.expected': entry.expected,
      'countersign.received': entry.received,
      'countersign.disposition': entry.disposition,
      'countersign.kid': entry.kid,
      'countersign.request_id': entry.requestId,
    },
  });
}
