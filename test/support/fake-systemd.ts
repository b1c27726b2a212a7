import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, readlink, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Layout } from '../../sidecar/swap/layout.ts';
import { tempFolder } from './temp-folder.ts';

/** A host's folders and a `systemctl` that keeps the state of its units in files. */
export interface FakeHost {
  readonly layout: Layout;
  /** The state of a unit, such as `active`. */
  state(unit: string): Promise<string>;
  /** Units that boot, sorted. */
  boots(): Promise<string[]>;
  link(name: 'current' | 'previous', version?: string): Promise<string | undefined>;
  /** Verbs that systemctl was called with, without `show`. */
  calls(): Promise<string[]>;
  /** The process that asks for the n-th change from now on is killed once it is done; 0 for none. */
  killAfter(n: number): Promise<void>;
  /** What the sidecar that serves says at `/metrics` from now on. */
  metrics(text: string): Promise<void>;
  /** Resolves when they have been read once more. */
  metricsRead(): Promise<unknown>;
  /** From now on this unit's start fails. */
  breakUnit(unit: string): Promise<void>;
}

const script = `#!/bin/bash
root=@ROOT@
verb=$1; shift
units=()
for word in "$@"; do [[ $word == -* ]] || units+=("$word"); done
if [[ $verb == show ]]; then
  for pattern in "\${units[@]}"; do
    if [[ $pattern == *'*'* ]]; then names=$(cd $root/state && compgen -G "$pattern"); else names=$pattern; fi
    for name in $names; do
      state=$(cat "$root/state/$name" 2>/dev/null || echo inactive); pid=$(cat "$root/pids/$name" 2>/dev/null || echo 0)
      printf 'Id=%s\\nActiveState=%s\\nMainPID=%s\\n\\n' "$name" "$state" "$pid"
    done
  done
  exit 0
fi
[[ $verb == reset-failed ]] && exit 0
echo "$verb \${units[*]}" >>$root/calls
at=$(cat $root/kill-at 2>/dev/null || echo 0)
[[ $at == 0 ]] || echo $((at - 1)) >$root/kill-at
for unit in "\${units[@]}"; do
  wants=$root/units/multi-user.target.wants; [[ $unit == *.socket ]] && wants=$root/units/sockets.target.wants
  case $verb in
    enable) ln -sf /unit "$wants/$unit" ;;
    disable) rm -f "$wants/$unit" ;;
    start)
      if [[ -e $root/broken/$unit ]]; then echo failed >"$root/state/$unit"; echo "$unit failed" >&2; exit 1; fi
      if [[ $unit == *.service ]]; then
        bash -c "exec 9>'$root/memory/$unit'; exec sleep 600" >/dev/null 2>&1 &
        echo $! >"$root/pids/$unit"; echo "$unit" >>$root/order
      fi
      echo active >"$root/state/$unit" ;;
    stop|kill)
      [[ -e $root/pids/$unit ]] && kill -9 $(cat "$root/pids/$unit") 2>/dev/null; rm -f "$root/pids/$unit"
      touch $root/order; grep -vx "$unit" $root/order >$root/order.new; mv $root/order.new $root/order
      echo inactive >"$root/state/$unit" ;;
  esac
done
[[ $at == 1 ]] && kill -9 $PPID
exit 0
`;

/** A host with the given versions installed, both sidecars of each. It is removed when the test ends, with its processes. */
export async function fakeHost(t: Test, versions: readonly string[]): Promise<FakeHost> {
  const root = await tempFolder(t);
  const at = (...path: string[]) => join(root, ...path);
  for (const name of ['state', 'pids', 'memory', 'broken', 'opt', 'etc', 'guard', 'units'])
    await mkdir(at(name));
  for (const name of ['multi-user.target.wants', 'sockets.target.wants']) await mkdir(at('units', name));
  await writeFile(at('systemctl'), script.replaceAll('@ROOT@', root));
  await chmod(at('systemctl'), 0o755);

  const server = createServer(async (request, response) => {
    if (request.url === '/metrics') {
      response.end(await readFile(at('metrics'), 'utf8').catch(() => ''));
      server.emit('metrics');
      return;
    }
    const order = await readFile(at('order'), 'utf8').catch(() => '');
    const [, phase, version] = /^countersign-(logging|enforcing)@(.+)\.service$/m.exec(order) ?? [];
    if (phase === undefined) response.writeHead(503).end('{}');
    else response.end(JSON.stringify({ phase, version, ready: true }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const admin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.teardown(async () => {
    server.close();
    server.closeAllConnections();
    for (const name of await readdir(at('pids')))
      process.kill(Number(await readFile(at('pids', name), 'utf8')), 'SIGKILL');
  });

  await writeFile(at('guard', 'gate.json'), '{}');
  for (const version of versions) {
    await mkdir(at('opt', version));
    await mkdir(at('etc', version));
    for (const name of ['countersign', 'countersign-logging', 'countersign-enforcing']) {
      await writeFile(at('opt', version, name), '#!/bin/sh\nexit 0\n');
      await chmod(at('opt', version, name), 0o755);
    }
    await writeFile(
      at('etc', version, 'sidecar.yaml'),
      `admin: { listen: "${admin}" }\nstate: ${at('memory')}\n`,
    );
    await writeFile(at('guard', `${version}.yaml`), '');
  }
  return {
    layout: {
      versions: at('opt'),
      configuration: at('etc'),
      guard: at('guard'),
      units: at('units'),
      lock: at('lock'),
      systemctl: at('systemctl'),
    },
    state: async (unit) => (await readFile(at('state', unit), 'utf8').catch(() => 'inactive')).trim(),
    boots: async () => (await readdir(at('units', 'multi-user.target.wants'))).sort(),
    link: async (name, version) => {
      if (version !== undefined) await symlink(version, at('opt', name));
      return readlink(at('opt', name)).catch(() => undefined);
    },
    calls: async () => (await readFile(at('calls'), 'utf8').catch(() => '')).trim().split('\n'),
    killAfter: (n) => writeFile(at('kill-at'), String(n)),
    metrics: (text) => writeFile(at('metrics'), text),
    metricsRead: () => once(server, 'metrics'),
    breakUnit: (unit) => writeFile(at('broken', unit), ''),
  };
}
