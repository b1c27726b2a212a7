import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { loadMatrix } from '../config/authorization.ts';
import { loadFleet } from '../config/fleet.ts';
import { rewriteFile } from '../files/replace-file.ts';
import { readFrom } from '../fleet-reader/from.ts';
import { brokenMatrix } from './demo-files.ts';
import type { Answer, DemoStage } from './demo-stage.ts';
import type { Folder } from './folder.ts';
import type { LocalService } from './layout.ts';
import type { LocalFleet } from './local-fleet.ts';
import type { Phase } from './local-sidecar.ts';

const reloadLimitMs = 20_000;

/** What differs from what the story tells. */
export class DemoError extends Error {
  readonly code = 'demo';
}

/**
 * A rollout on the running local fleet: from a missing rule to enforcing, a mistake and the way back.
 *
 * @throws {DemoError} when a step has another result than it should
 */
export async function playDemo(fleet: LocalFleet, folder: Folder, stage: DemoStage): Promise<void> {
  const [backend] = fleet.services as readonly [LocalService, ...LocalService[]];
  const admins = fleet.services.map(({ admin }) => `http://127.0.0.1:${admin}`);
  const from = admins.flatMap((admin) => ['--from', admin]);
  const task = { image: 'cat.png' };
  const call = (method: string, path: string, body?: object) =>
    stage.call(backend.outbound, method, `http://npu-worker${path}`, body);

  await stage.step(
    'Logging: every call is signed and checked, none is refused',
    'main-backend calls npu-worker through its sidecar. The app has no key; npu-worker is told who calls.',
  );
  const made = expectStatus(await call('POST', '/api/process', task), 200);
  const { id } = JSON.parse(made.text) as { id: string };
  expectStatus(await call('GET', `/api/status/${id}`), 200);

  await stage.step(
    'A missing rule is found',
    'No rule allows the second call. Logging forwarded it, and recorded that enforcing would refuse it.',
  );
  expectText(await stage.countersign('matrix', 'suggest', ...from), /GET \/api\/status/);

  await stage.step('The rule is added', 'The sidecars take the new matrix at once; nothing is restarted.');
  await stage.countersign('matrix', 'suggest', ...from, '--apply');
  await matrixLoaded(folder, admins);
  expectStatus(await call('GET', `/api/status/${id}`), 200);

  await stage.step(
    'Is the fleet ready to enforce?',
    'All is well but for the time: a real fleet logs for 24 hours before Ansible may swap its sidecars.',
  );
  expectText(await stage.countersign('report', ...from), /Ready to enforce: no/);

  await stage.step(
    'Enforcing: the binary of every sidecar is swapped, and no call breaks',
    'On one machine no gate file is demanded; this is what npm run phase enforcing does.',
  );
  await swap(fleet, 'enforcing');
  expectStatus(await call('POST', '/api/process', task), 200);

  await stage.step(
    'A mistake in the matrix',
    'A letter is missing in a rule: POST /api/proces. The sidecars take it, and npu-worker refuses the call.',
  );
  await rewriteFile(
    folder.files.authorization,
    brokenMatrix(await readFile(folder.files.authorization, 'utf8')),
  );
  await matrixLoaded(folder, admins);
  const refused = expectStatus(await call('POST', '/api/process', task), 403);
  const { request_id } = JSON.parse(refused.text) as { request_id: string };

  await stage.step(
    'Why was it refused?',
    "The refusal's request id is enough: both ends tell what they saw, and which rule comes nearest.",
  );
  expectText(await stage.countersign('why', request_id, ...from), /caller's side/);

  await stage.step(
    'Back to logging',
    'The way back is the same swap. The call passes again, mistake and all.',
  );
  await swap(fleet, 'logging');
  expectStatus(await call('POST', '/api/process', task), 200);
}

async function swap(fleet: LocalFleet, phase: Phase): Promise<void> {
  const all = await fleet.swapTo(phase, ({ service, ms, error }) => {
    console.log(`${service.padEnd(14)} ${error ?? `${phase} (swapped in ${(ms ?? 0).toFixed(0)} ms)`}`);
  });
  const failed = all.find(({ error }) => error !== undefined);
  if (failed !== undefined)
    throw new DemoError(`${failed.service} is still ${failed.phase}: ${failed.error}`);
}

/** Settles when every sidecar runs the matrix that is in the file. */
async function matrixLoaded(folder: Folder, admins: readonly string[]): Promise<void> {
  const fleet = await loadFleet(folder.at('fleet.yaml'));
  const { hash } = await loadMatrix(folder.files.authorization, fleet);
  const late = performance.now() + reloadLimitMs;
  for (;;) {
    const states = await readFrom(admins, ['status']);
    if (states.every(({ status }) => status?.matrix === hash)) return;
    if (performance.now() > late)
      throw new DemoError(`found another matrix at a sidecar 20 s after the change, expected ${hash}`);
    await delay(200);
  }
}

function expectStatus(answer: Answer, status: number): Answer {
  if (answer.status === status) return answer;
  throw new DemoError(`found the answer ${answer.status}, expected ${status}`);
}

function expectText(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new DemoError(`found no ${pattern.source} in the output, expected it there`);
}
