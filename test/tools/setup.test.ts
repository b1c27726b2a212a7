import { execFile } from 'node:child_process';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../../tools/build.ts';
import { tempFolder } from '../support/temp-folder.ts';

t.test(
  'a registry that cannot be reached and an empty cache are told, with what to do, in a path with spaces',
  async (t) => {
    const folder = join(await tempFolder(t), 'first contact');
    await mkdir(join(folder, 'tools'), { recursive: true });
    for (const file of ['package.json', 'package-lock.json', 'tools/setup.mjs'])
      await cp(join(root, file), join(folder, file));
    const env = {
      PATH: process.env.PATH,
      HOME: folder,
      npm_config_cache: join(folder, 'cache'),
      // Nothing listens there.
      npm_config_registry: 'http://127.0.0.1:9/',
    };
    const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
      execFile(process.execPath, ['tools/setup.mjs'], { cwd: folder, env }, (error, _stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stderr }),
      );
    });
    t.equal(code, 69, stderr);
    t.match(stderr, 'setup: the npm registry does not answer');
    t.match(stderr, 'about 0.9 GB on disk');
    t.match(stderr, /npm error .*\n/);
    t.match(stderr, 'look at the network, at HTTPS_PROXY, and at `npm config get registry`');
  },
);
