import { rejectDenied } from '../policy/reject-denied.ts';
import { runSidecar } from './run.ts';

void runSidecar({ phase: 'enforcing', applyVerdict: rejectDenied });
