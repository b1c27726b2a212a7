import { forwardAlways } from '../policy/forward-always.ts';
import { runSidecar } from '../run.ts';

await runSidecar({ phase: 'logging', applyVerdict: forwardAlways });
