import type { Subject } from '../subject.ts';
import { addedLatency } from './added-latency.ts';
import { bodies } from './bodies.ts';
import { cpu } from './cpu.ts';
import { functionsOf } from './functions.ts';
import { heads } from './heads.ts';
import { idle } from './idle.ts';
import { latency } from './latency.ts';
import { matrixSize } from './matrix-size.ts';
import { nonces } from './nonces.ts';
import { overload } from './overload.ts';
import { parts } from './parts.ts';
import { pauses } from './pauses.ts';
import { soak } from './soak.ts';
import { startUp } from './start-up.ts';
import { streams } from './streams.ts';
import { workers } from './workers.ts';

/** In the order in which they run. */
export const subjects: readonly Subject[] = [
  cpu,
  parts,
  addedLatency,
  latency,
  heads,
  matrixSize,
  nonces,
  workers,
  bodies,
  streams,
  idle,
  overload,
  startUp,
  pauses,
  functionsOf('signature', 'Signing and verifying one call, single functions', ['usual', 'full']),
  functionsOf('replay', 'The replay memory with 5 million live nonces', ['usual', 'full']),
  functionsOf('core', 'The core service', ['full']),
  soak,
];
