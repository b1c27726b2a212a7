import type { ObservedDocument } from '../telemetry/documents.ts';
import { type Finding, failed, ok, skipped, warning } from './finding.ts';
import type { PeerProbe } from './probe-peer.ts';

/** Signatures are accepted this far from now (docs/wire-format.md). */
const windowSeconds = 300;
const worthALookSeconds = 30;

/** What the connection to a peer came to. */
export function hopFinding({ callee, host, port, hop }: PeerProbe): Finding {
  const where = `${callee} at ${host}:${port}`;
  switch (hop.state) {
    case 'sealed':
      return ok;
    case 'unreachable':
      return failed(
        `${where}: ${hop.code}`,
        'start its sidecar, and let its port through every firewall on the way',
      );
    case 'unproven':
      return failed(`${where}: ${hop.why}`, 'countersign keys status compares the keys of both ends');
  }
}

/** What a signed call to a peer came to. */
export function probeFinding({ callee, host, hop, call }: PeerProbe): Finding {
  const where = `${callee} at ${host}`;
  if (hop.state !== 'sealed') return skipped(`${where}: the connection is not sealed`);
  if (call === undefined) return skipped(`${where}: no rule allows a GET or HEAD of a fixed path`);
  const { request, answer, denied } = call;
  if (denied !== undefined)
    return failed(
      `${where}: ${request} is denied: ${denied}`,
      'countersign why explains it; compare authorization.yaml and the clocks of both hosts',
    );
  if (typeof answer === 'string')
    return failed(
      `${where}: ${request} got no answer (${answer})`,
      'look at the log of its sidecar and of its app',
    );
  if (answer >= 500)
    return warning(`${where}: ${request} got ${answer} from its app`, 'look at the log of its app');
  return { result: 'ok', found: `${where}: ${request} got ${answer}` };
}

/** The clocks of callers against this host's, from calls that were proven. */
export function callersClocks(skew: ObservedDocument['skew']): Finding[] {
  return skew.map(({ caller, callee, min_seconds, max_seconds }) => {
    const most = Math.max(Math.abs(min_seconds), Math.abs(max_seconds));
    const found = `the clock of ${caller} differs from that of ${callee} by up to ${most.toFixed(1)} s`;
    if (most >= windowSeconds * 0.8)
      return failed(found, `synchronize both; calls are refused from ${windowSeconds} s on`);
    return most >= worthALookSeconds ? warning(found, 'synchronize both with chrony') : ok;
  });
}
