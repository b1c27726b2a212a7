import { rejectDenied } from '../policy/reject-denied.ts';
import { runWorkerThread } from './worker-thread.ts';

void runWorkerThread({ phase: 'enforcing', applyVerdict: rejectDenied });
