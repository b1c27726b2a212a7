/** What the files of one folder may import beside each other, types included. */
export interface Allowed {
  /** Folders of the project. They come earlier in the table: nothing imports up. */
  readonly folders: readonly string[];
  /** Modules of Node and packages; undefined where any may be imported. */
  readonly packages?: readonly string[];
}

/**
 * Every folder of the product with what it may import, from the bottom to the top. `connections/` and what lies under it
 * is the data path: it waits for nothing but sockets and pure computation.
 */
export const allowedImports: Readonly<Record<string, Allowed>> = {
  config: { folders: [] },

  // What the pages for browsers share: parts, styles, the headers that they are sent with.
  web: { folders: [] },

  // What the sidecar and the core export beside metrics: spans, log records, an access log.
  signals: { folders: ['config'] },

  'sidecar/terms': { folders: ['signals'], packages: ['zod'] },
  'sidecar/files': { folders: [], packages: ['node:crypto', 'node:fs/promises', 'node:path'] },
  'sidecar/signature': { folders: ['sidecar/terms'], packages: ['node:crypto'] },
  'sidecar/policy': { folders: ['sidecar/terms', 'sidecar/signature'], packages: ['node:buffer'] },
  'sidecar/http1': {
    folders: ['sidecar/terms', 'sidecar/signature'],
    packages: ['node:crypto', 'undici/lib/llhttp/llhttp_simd-wasm.js'],
  },
  'sidecar/exchange': {
    folders: ['signals', 'sidecar/terms', 'sidecar/http1'],
    packages: ['node:perf_hooks'],
  },
  'sidecar/keyring': {
    folders: ['config', 'sidecar/terms', 'sidecar/files', 'sidecar/signature'],
    packages: ['node:crypto', 'node:fs', 'node:fs/promises', 'zod'],
  },
  'sidecar/connections': {
    folders: ['sidecar/terms', 'sidecar/http1', 'sidecar/exchange', 'sidecar/keyring'],
    packages: ['node:crypto', 'node:net', 'node:tls'],
  },
  'sidecar/config': { folders: ['config', 'signals', 'sidecar/terms', 'sidecar/policy'] },
  'sidecar/listen': { folders: ['config', 'sidecar/config'] },
  'sidecar/replay': { folders: ['sidecar/terms', 'sidecar/files', 'sidecar/signature'] },
  'sidecar/telemetry': {
    folders: ['signals', 'sidecar/terms', 'sidecar/files', 'sidecar/policy', 'sidecar/keyring'],
  },
  'sidecar/inbound': {
    folders: [
      'signals',
      'sidecar/terms',
      'sidecar/signature',
      'sidecar/policy',
      'sidecar/http1',
      'sidecar/exchange',
      'sidecar/keyring',
      'sidecar/config',
      'sidecar/telemetry',
    ],
    packages: [],
  },
  'sidecar/outbound': {
    folders: [
      'signals',
      'sidecar/terms',
      'sidecar/signature',
      'sidecar/http1',
      'sidecar/exchange',
      'sidecar/keyring',
      'sidecar/config',
      'sidecar/telemetry',
    ],
    packages: ['node:crypto'],
  },
  'sidecar/reload': {
    folders: ['config', 'sidecar/config', 'sidecar/keyring', 'sidecar/policy', 'sidecar/listen'],
  },
  'sidecar/admin': { folders: ['config', 'sidecar/listen', 'sidecar/telemetry'] },
  'sidecar/matrix-tools': { folders: ['config', 'sidecar/config', 'sidecar/policy', 'sidecar/telemetry'] },
  'sidecar/new-fleet': {
    folders: ['config', 'sidecar/terms', 'sidecar/policy'],
    packages: ['@huggingface/jinja', 'yaml'],
  },
  'sidecar/fleet-view': {
    folders: ['sidecar/terms', 'sidecar/config', 'sidecar/policy', 'sidecar/telemetry'],
    packages: [],
  },
  'sidecar/hop-client': {
    folders: [
      'sidecar/terms',
      'sidecar/signature',
      'sidecar/policy',
      'sidecar/keyring',
      'sidecar/connections',
    ],
    packages: ['node:crypto', 'node:http', 'node:tls'],
  },
  'sidecar/fleet-reader': {
    folders: [
      'sidecar/terms',
      'sidecar/config',
      'sidecar/keyring',
      'sidecar/telemetry',
      'sidecar/fleet-view',
      'sidecar/hop-client',
    ],
  },
  'sidecar/rotation': {
    folders: [
      'config',
      'sidecar/terms',
      'sidecar/signature',
      'sidecar/config',
      'sidecar/keyring',
      'sidecar/fleet-reader',
    ],
  },
  'sidecar/readiness': {
    folders: ['config', 'sidecar/terms', 'sidecar/config', 'sidecar/policy', 'sidecar/telemetry'],
  },
  'sidecar/guard': {
    folders: [
      'config',
      'sidecar/terms',
      'sidecar/files',
      'sidecar/policy',
      'sidecar/telemetry',
      'sidecar/fleet-reader',
    ],
  },
  'sidecar/swap': { folders: ['sidecar/terms', 'sidecar/replay', 'sidecar/telemetry'] },
  'sidecar/doctor': {
    folders: [
      'config',
      'sidecar/config',
      'sidecar/policy',
      'sidecar/keyring',
      'sidecar/connections',
      'sidecar/telemetry',
      'sidecar/reload',
      'sidecar/fleet-reader',
      'sidecar/readiness',
      'sidecar/hop-client',
      'sidecar/guard',
      'sidecar/swap',
    ],
  },

  'sidecar/console': {
    folders: [
      'config',
      'web',
      'sidecar/terms',
      'sidecar/config',
      'sidecar/keyring',
      'sidecar/listen',
      'sidecar/telemetry',
      'sidecar/admin',
      'sidecar/matrix-tools',
      'sidecar/fleet-view',
      'sidecar/rotation',
      'sidecar/readiness',
    ],
  },

  // The core is an app behind the sidecar and knows nothing of it.
  'core/terms': { folders: ['signals'], packages: ['zod'] },
  'core/config': { folders: ['signals', 'config', 'core/terms'] },
  'core/event-loop': { folders: ['config'] },
  'core/context': { folders: ['core/config'], packages: ['prom-client'] },
  'core/llm': { folders: ['signals', 'config', 'core/terms', 'core/config'] },
  'core/redis': { folders: ['core/config'] },
  'core/tokens': { folders: ['config', 'core/terms', 'core/config', 'core/context', 'core/llm'] },
  'core/database': { folders: ['config', 'core/terms'] },
  'core/store': { folders: ['core/terms', 'core/redis', 'core/tokens', 'core/database'] },
  'core/membership': { folders: ['core/store'] },
  'core/files': { folders: ['core/terms', 'core/store'] },
  'core/limits': { folders: ['core/terms'] },
  'core/move': { folders: ['core/terms', 'core/database', 'core/membership', 'core/files'] },
  'core/chat': {
    folders: [
      'core/terms',
      'core/context',
      'core/llm',
      'core/tokens',
      'core/database',
      'core/store',
      'core/membership',
    ],
  },
  // The page alone: the routes that send it are in core/http.
  'core/console': { folders: ['web', 'core/chat'] },
  'core/http': {
    folders: [
      'web',
      'signals',
      'core/terms',
      'core/config',
      'core/context',
      'core/llm',
      'core/database',
      'core/store',
      'core/limits',
      'core/files',
      'core/chat',
    ],
  },
  core: {
    folders: [
      'config',
      'signals',
      'core/config',
      'core/event-loop',
      'core/context',
      'core/llm',
      'core/redis',
      'core/tokens',
      'core/database',
      'core/store',
      'core/membership',
      'core/limits',
      'core/files',
      'core/move',
      'core/chat',
      'core/http',
    ],
  },

  'sidecar/cli': {
    folders: [
      'config',
      'core/config',
      'sidecar/terms',
      'sidecar/files',
      'sidecar/signature',
      'sidecar/policy',
      'sidecar/keyring',
      'sidecar/config',
      'sidecar/telemetry',
      'sidecar/reload',
      'sidecar/rotation',
      'sidecar/matrix-tools',
      'sidecar/new-fleet',
      'sidecar/fleet-reader',
      'sidecar/fleet-view',
      'sidecar/readiness',
      'sidecar/hop-client',
      'sidecar/swap',
      'sidecar/guard',
      'sidecar/doctor',
      'sidecar/console',
    ],
  },
  'sidecar/bin': {
    folders: [
      'config',
      'signals',
      'sidecar/terms',
      'sidecar/policy',
      'sidecar/http1',
      'sidecar/keyring',
      'sidecar/connections',
      'sidecar/config',
      'sidecar/listen',
      'sidecar/replay',
      'sidecar/telemetry',
      'sidecar/inbound',
      'sidecar/outbound',
      'sidecar/reload',
      'sidecar/admin',
      'sidecar/cli',
    ],
  },
  tools: {
    folders: ['config', 'core/config', 'sidecar/config', 'sidecar/replay', 'sidecar/guard', 'sidecar/cli'],
  },
  'tools/release': { folders: ['tools', 'sidecar/cli', 'sidecar/new-fleet'] },
  'sidecar/local': {
    folders: [
      'config',
      'tools',
      'sidecar/files',
      'sidecar/config',
      'sidecar/telemetry',
      'sidecar/fleet-reader',
      'sidecar/fleet-view',
      'sidecar/cli',
    ],
  },
};
