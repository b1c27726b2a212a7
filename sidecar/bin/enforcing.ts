import { rejectDenied } from '../policy/reject-denied.ts';
import { runSidecar } from '../run.ts';

await runSidecar({ phase: 'enforcing', applyVerdict: rejectDenied });
