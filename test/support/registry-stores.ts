import { join } from 'node:path';
import type { Test } from 'tap';
import { FileStore } from '../../sidecar/rotation/file-store.ts';
import { connectRedis } from '../../sidecar/rotation/redis-connection.ts';
import { RedisStore } from '../../sidecar/rotation/redis-store.ts';
import { parseRedisUrl } from '../../sidecar/rotation/redis-url.ts';
import type { RegistryStore } from '../../sidecar/rotation/registry-store.ts';
import { startRedis } from './redis-server.ts';
import { tempFolder } from './temp-folder.ts';

/** Every place where a registry can lie. Each call of `open` is another client of the same registry. */
export const registryStores: Record<string, (t: Test) => Promise<{ open(): Promise<RegistryStore> }>> = {
  redis: async (t) => {
    const { port } = await startRedis(t);
    return {
      open: async () => {
        const address = parseRedisUrl(`redis://127.0.0.1:${port}`);
        const connection = await connectRedis({ address, tls: {} });
        t.teardown(() => connection.close());
        return new RedisStore(connection.client);
      },
    };
  },
  file: async (t) => {
    const file = join(await tempFolder(t), 'registry');
    return {
      open: async () => {
        const store = await FileStore.open(file);
        t.teardown(() => store.close());
        return store;
      },
    };
  },
};
