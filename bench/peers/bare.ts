import type { Peer } from './peer.ts';

/** No proxy at all: what the generator and the app can do by themselves. */
export const bare: Peer = {
  id: 'bare',
  title: 'no proxy',
  // The generator does for it what it does for those that check.
  dialect: 'rfc9421',
  checks: false,
  version: () => process.versions.node,
  start: async ({ app }) => ({ port: app, pids: [], stop: async () => {} }),
};
