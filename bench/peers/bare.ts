import type { Peer } from './peer.ts';

/** No proxy at all: what the generator and the app can do by themselves. */
export const bare: Peer = {
  id: 'bare',
  title: 'no proxy',
  dialect: 'plain',
  checks: false,
  version: () => process.versions.node,
  start: async ({ app }) => ({ port: app, pids: [], stop: async () => {} }),
};
