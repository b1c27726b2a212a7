import { copyFile, rename, rm } from 'node:fs/promises';
import t from 'tap';
import { startCoreProcess } from '../../../support/core-process.ts';
import { answerWith, ModelServer } from '../../../support/model-server.ts';

t.test(
  'a database that is deleted, replaced or loses its log is noticed: no turn is acknowledged',
  async (t) => {
    const model = new ModelServer();
    const { port } = await model.listen();
    model.behaviour = (call) => answerWith(call, 'answer');
    const core = await startCoreProcess(t, { outboundPort: port });
    t.teardown(() => model.close());
    const ask = async () => {
      const response = await fetch(`${core.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-session-id': 's' },
        body: JSON.stringify({ messages: [{ role: 'user', content: 'question' }] }),
      });
      const { error } = (await response.json()) as { error?: { code: string } };
      return error?.code ?? response.status;
    };
    t.equal(await ask(), 200);
    for (const path of [core.sqlite, `${core.sqlite}-wal`]) {
      const aside = `${path}.aside`;
      await rename(path, aside);
      t.equal(await ask(), 'storage_unavailable', `${path} is gone`);
      await copyFile(aside, path);
      t.equal(await ask(), 'storage_unavailable', `${path} is another file`);
      await rm(path);
      await rename(aside, path);
      t.equal(await ask(), 200, `${path} is back`);
    }
    await rm(core.sqlite);
    t.equal(await ask(), 'storage_unavailable');
  },
);
