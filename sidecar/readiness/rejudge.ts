import { authorize, isPublic } from '../policy/authorize.ts';
import type { ServiceRules } from '../policy/matrix.ts';
import { isPlainPath } from '../policy/paths.ts';
import type { Observation } from '../telemetry/documents.ts';
import { type DenialReason, type Reason, reasons } from '../terms/reasons.ts';
import type { Denial } from '../terms/verdict.ts';

/** What a matrix says today of calls that were recorded some time. */
export type Rejudged =
  | { readonly allowed: true; readonly rule: string }
  | {
      readonly allowed: false;
      readonly denial: Pick<Denial, 'reason' | 'rule'> & { readonly detail?: string };
    }
  /** The call ended for a reason that no verdict has a part in: both binaries treat it alike. */
  | undefined;

/**
 * Puts recorded calls through the verdict core once more. What the matrix decided is decided anew; what the signature
 * decided stands, unless the call needs no signature (any more).
 *
 * @param rules of the callee, by the matrix that is to be enforced
 */
export function rejudge(row: Observation, rules: ServiceRules): Rejudged {
  const path = row.example ?? row.path;
  const reason = row.reason as Reason | '';
  if (reason === '' || reason === 'not-authorized' || reason === 'ambiguous-path') {
    const authorization = authorize(rules, row.caller, row.method, path);
    if (authorization.kind === 'denied') return { allowed: false, denial: authorization.denial };
    // Only fields such as X-HTTP-Method-Override can have made a plain path ambiguous, and these are not recorded.
    if (reason === 'ambiguous-path' && isPlainPath(path)) return { allowed: false, denial: { reason } };
    return { allowed: true, rule: authorization.rule };
  }
  if (reasons[reason]?.stage !== 'verdict') return undefined;
  const open = isPublic(rules, row.method, path);
  if (open !== undefined && reason !== 'digest-mismatch') return { allowed: true, rule: open };
  return { allowed: false, denial: { reason: reason as DenialReason } };
}
