import { forwardAlways } from '../policy/forward-always.ts';
import { runWorkerThread } from './worker-thread.ts';

void runWorkerThread({ phase: 'logging', applyVerdict: forwardAlways });
