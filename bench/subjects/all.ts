import type { Subject } from '../subject.ts';
import { bodies } from './bodies.ts';
import { core } from './core.ts';
import { cpu } from './cpu.ts';
import { functionsOf } from './functions.ts';
import { heads } from './heads.ts';
import { hop } from './hop.ts';
import { idle } from './idle.ts';
import { matrixSize } from './matrix-size.ts';
import { nonces } from './nonces.ts';
import { overload } from './overload.ts';
import { pairSubject } from './pair.ts';
import { parts } from './parts.ts';
import { pauses } from './pauses.ts';
import { rateSubject } from './rates.ts';
import { sealed } from './sealed.ts';
import { soak } from './soak.ts';
import { startUp } from './start-up.ts';
import { streams } from './streams.ts';
import { webSockets } from './websockets.ts';
import { workers } from './workers.ts';

/** In the order in which they run. */
export const subjects: readonly Subject[] = [
  cpu,
  pairSubject,
  sealed,
  rateSubject,
  parts,
  heads,
  matrixSize,
  nonces,
  workers,
  bodies,
  streams,
  webSockets,
  hop,
  idle,
  overload,
  startUp,
  pauses,
  functionsOf('signature', 'Signing and verifying one call, single functions', ['full']),
  functionsOf('replay', 'The replay memory with 5 million live nonces', ['full']),
  core,
  soak,
];
