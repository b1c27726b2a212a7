import type { Phase } from '../telemetry/documents.ts';
import type { ApplyVerdict } from '../terms/verdict.ts';

/** What makes one binary: the function that acts on verdicts, and the name under which operators know it. */
export interface Binary {
  readonly phase: Phase;
  readonly applyVerdict: ApplyVerdict;
}
