import type { Matrix } from '../policy/matrix.ts';
import type { HostState, StatusDocument } from '../telemetry/documents.ts';

/** Whether the keys for the calls of one pair are where they must be, on all hosts of both services. */
export interface PairKeys {
  readonly caller: string;
  readonly callee: string;
  /** The key ids that the caller's hosts sign with. */
  readonly kids: readonly string[];
  /** What is missing; empty when all is in place. */
  readonly problems: readonly string[];
}

/** Looks at each pair that the matrix permits: the caller signs with a key that every host of the callee has loaded. */
export function keysInPlace(states: readonly HostState[], matrix: Matrix, nowMs: number): PairKeys[] {
  const statuses = states.flatMap(({ status }) => (status === undefined ? [] : [status]));
  const of = (service: string) => statuses.filter((status) => status.service === service);
  const pairs: PairKeys[] = [];
  for (const { service: callee, callers } of matrix.services.values()) {
    for (const [caller, matcher] of callers) {
      if (matcher.rules.length > 0) pairs.push(pairKeys(caller, callee, of(caller), of(callee), nowMs));
    }
  }
  return pairs;
}

function pairKeys(
  caller: string,
  callee: string,
  signers: readonly StatusDocument[],
  verifiers: readonly StatusDocument[],
  nowMs: number,
): PairKeys {
  const problems: string[] = [];
  const kids = new Set<string>();
  for (const signer of signers) {
    const kid = signer.keys.outbound[callee]?.kid;
    if (kid === undefined) {
      problems.push(`${caller} on ${signer.host} has no key for calls to ${callee}`);
      continue;
    }
    kids.add(kid);
    for (const verifier of verifiers) {
      const key = (verifier.keys.inbound[caller] ?? []).find((each) => each.kid === kid);
      if (key === undefined)
        problems.push(
          `${caller} on ${signer.host} signs with ${kid}, which ${callee} on ${verifier.host} has not loaded`,
        );
      else if (key.not_after !== undefined && Date.parse(key.not_after) <= nowMs)
        problems.push(
          `${caller} on ${signer.host} signs with ${kid}, which ${callee} on ${verifier.host} has retired`,
        );
    }
  }
  return { caller, callee, kids: [...kids], problems };
}
