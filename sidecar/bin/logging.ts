import { forwardAlways } from '../policy/forward-always.ts';
import { runSidecar } from './run.ts';

void runSidecar({ phase: 'logging', applyVerdict: forwardAlways });
