import type { Subject } from '../subject.ts';
import { addedLatency } from './added-latency.ts';
import { cpu } from './cpu.ts';

/** In the order in which they run. */
export const subjects: readonly Subject[] = [cpu, addedLatency];
