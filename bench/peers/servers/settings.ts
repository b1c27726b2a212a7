import { readFileSync } from 'node:fs';
import type { Identity } from '../../load/signer.ts';

export interface ServerSettings {
  /** Port of the app on 127.0.0.1. */
  readonly app: number;
  readonly identity: Identity;
}

/** The file that a server of the bench is started with. */
export function readSettings(): ServerSettings {
  return JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as ServerSettings;
}
