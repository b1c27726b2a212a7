import { guard, rollBack, skew } from './story/back.ts';
import { bare } from './story/bare.ts';
import type { Story } from './story/context.ts';
import { breakPhase2, enforce, intrude, openGate } from './story/enforcing.ts';
import { closeRedis, rotate } from './story/keys.ts';
import { chapters, life } from './story/life.ts';
import { install, lint, reachLogging, reboot, repairMatrix } from './story/logging.ts';
import { ownFleet } from './story/own-fleet.ts';
import { relay } from './story/relay.ts';
import { upgrade } from './story/upgrade.ts';

/** Those that run in CI, within its time: from bare hosts to an enforced fleet with a closed Redis, and back, in this order. */
const usual: Readonly<Record<string, (story: Story) => Promise<void>>> = {
  collection: lint,
  install,
  matrix: repairMatrix,
  'reboot-logging': (story) => reboot(story, 'frontend', 'logging'),
  gate: openGate,
  'broken-phase-2': breakPhase2,
  enforce,
  'reboot-enforcing': (story) => reboot(story, 'ai-stack', 'enforcing'),
  intruder: intrude,
  rotate,
  redis: closeRedis,
  skew,
  guard,
  back: rollBack,
};

/** What can be told on six hosts. */
export const stories: Readonly<Record<string, (story: Story) => Promise<void>>> = {
  ...usual,
  // By name only, each on hosts of its own: bare ones, or ones that log.
  'own-fleet': ownFleet,
  upgrade,
  life,
  ...chapters,
  // On hosts that enforce.
  relay,
  // For hosts that stay up: bare again, and what later ones of the usual stories begin with.
  bare,
  traffic: reachLogging,
};

export const usualNames = Object.keys(usual);
