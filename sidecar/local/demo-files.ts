import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { localNames } from './layout.ts';
import { type LocalFiles, projectFiles } from './project-files.ts';

/** The rule that the demo breaks: npu-worker takes tasks of main-backend. */
const rule = 'POST /api/process';
const mistyped = 'POST /api/proces';

/** `GET /api/status/*` is missing at npu-worker: the demo finds it. */
const matrix = `# Who may call what. Whatever no rule allows is denied.
services:
  main-backend:
    public: [GET /api/health]
  npu-worker:
    public: [GET /api/health]
    callers:
      main-backend:
        - ${rule}
  ai-stack:
    public: [GET /api/health]
    callers:
      main-backend:
        - GET /v1/models
        - POST /v1/chat/completions
`;

/** Writes the fleet and the matrix of the demo; only what runs is in them. */
export async function writeDemoFiles(folder: string): Promise<LocalFiles> {
  const files = {
    fleet: join(folder, 'services.yaml'),
    // Where the commands look for it.
    authorization: join(folder, 'config/authorization.yaml'),
    models: projectFiles.models,
  };
  await mkdir(join(folder, 'config'), { recursive: true, mode: 0o700 });
  const services = localNames.map((name, at) => [
    name,
    { hosts: ['127.0.0.1'], inbound: 2 * at + 1, app: 2 * at + 2 },
  ]);
  await writeFile(files.fleet, stringify({ services: Object.fromEntries(services) }));
  await writeFile(files.authorization, matrix);
  return files;
}

/**
 * The matrix with a letter missing in one rule.
 *
 * @throws {Error} when the rule is not in it
 */
export function brokenMatrix(text: string): string {
  const broken = text.replace(`- ${rule}\n`, `- ${mistyped}\n`);
  if (broken === text) throw new Error(`found no rule "${rule}" in the matrix, expected the demo's own`);
  return broken;
}
