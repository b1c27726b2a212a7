import { guard, rollBack, skew } from './story/back.ts';
import type { Story } from './story/context.ts';
import { breakPhase2, enforce, intrude, openGate } from './story/enforcing.ts';
import { closeRedis, rotate } from './story/keys.ts';
import { life } from './story/life.ts';
import { install, lint, reboot, repairMatrix } from './story/logging.ts';
import { upgrade } from './story/upgrade.ts';

/** What can be told on six hosts. `rollout` begins on bare hosts; it is what runs without a name. */
export const stories: Readonly<Record<string, (story: Story) => Promise<void>>> = {
  collection: lint,
  rollout,
  upgrade,
  life,
};

/** From bare hosts to an enforced fleet with a closed Redis, and back. */
async function rollout(story: Story): Promise<void> {
  await install(story);
  await repairMatrix(story);
  await reboot(story, 'frontend', 'logging');
  await openGate(story);
  await breakPhase2(story);
  await enforce(story);
  await reboot(story, 'ai-stack', 'enforcing');
  await intrude(story);
  await rotate(story);
  await closeRedis(story);
  await skew(story);
  await guard(story);
  await rollBack(story);
}

/** Those that run in CI, within its time. */
export const usual = ['collection', 'rollout'];
