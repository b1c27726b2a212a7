import { loadedKeys } from '../keyring/loaded-keys.ts';
import { isUp, nameOf } from '../swap/host.ts';
import { type Check, type Finding, failed, ok, skipped, warning } from './finding.ts';
import type { HostFacts } from './host-facts.ts';
import { keysComplete, rotationDue } from './key-checks.ts';
import { callersClocks, hopFinding, probeFinding } from './shared-findings.ts';

const noConfig = skipped('sidecar.yaml could not be read');
const noStatus = skipped('the sidecar does not answer on its admin listener');

/** Below this a state file may not be written whole. */
const leastFreeBytes = 64 * 1024 * 1024;
const leastFreeShare = 0.05;

/** All that holds on a healthy host. */
export const hostChecks: readonly Check<HostFacts>[] = [
  {
    group: 'files',
    name: 'files-valid',
    claim: 'sidecar.yaml and the files that it names are valid and belong together',
    judge: ({ fileFaults, configFile }) =>
      fileFaults
        .map((fault) => failed(fault, `correct it; countersign check --config ${configFile} says when it is`))
        .concat(fileFaults.length === 0 ? [ok] : []),
  },
  {
    group: 'permissions',
    name: 'files-private',
    claim: 'only their owner may read keys and write files',
    judge: ({ modes }) =>
      modes.flatMap(({ path, kind, mode }): Finding[] => {
        if (mode === undefined) return [];
        const octal = `0${mode.toString(8)}`;
        if (kind === 'secret' && (mode & 0o077) !== 0)
          return [
            failed(
              `${path}: mode ${octal}, expected 0600`,
              `chmod 600 ${path}, and rotate the keys if others could have read it`,
            ),
          ];
        const others = kind === 'shared' && (mode & 0o022) !== 0;
        return others
          ? [failed(`${path}: mode ${octal}, group or others may write it`, `chmod go-w ${path}`)]
          : [ok];
      }),
  },
  {
    group: 'ports',
    name: 'listeners-open',
    claim: 'every listener of sidecar.yaml takes connections',
    judge: ({ listeners }) =>
      listeners.map(({ name, address, answer }) =>
        answer === 'connected'
          ? ok
          : failed(
              `${name} at ${address}: ${answer}`,
              'start the sidecar: countersign swap logging; its log says why it does not start',
            ),
      ),
  },
  {
    group: 'ports',
    name: 'own-sidecar',
    claim: 'the admin listener is that of this service and host',
    judge: ({ config, status, adminFault, keyring }) => {
      if (config === undefined) return noConfig;
      if (status === undefined)
        return failed(
          adminFault ?? 'no answer',
          'start the sidecar, or stop what else listens at admin.listen of sidecar.yaml',
        );
      const host = keyring?.host ?? status.host;
      if (status.service === config.service && status.host === host) return ok;
      return failed(
        `it says ${status.service} on ${status.host}, expected ${config.service} on ${host}`,
        'two sidecars on one machine need admin listeners of their own (admin.listen in sidecar.yaml)',
      );
    },
  },
  {
    group: 'app',
    name: 'app-reachable',
    claim: 'the app takes connections from its sidecar',
    judge: ({ app }) => {
      if (app === undefined) return skipped('this service only calls others');
      return app.answer === 'connected'
        ? ok
        : failed(
            `${app.address}: ${app.answer}`,
            `start the app at ${app.address}, or correct inbound.app and app of fleet.yaml`,
          );
    },
  },
  {
    group: 'app',
    name: 'app-on-loopback',
    claim: 'the app listens on loopback only',
    judge: ({ app, status }) => {
      if (app === undefined) return skipped('this service only calls others');
      if (app.exposedOn.length === 0) return app.answer === 'connected' ? ok : skipped('it does not run');
      const found = `it listens on ${app.exposedOn.join(', ')} too: calls go around the sidecar`;
      const todo = `have it listen on ${app.address} only`;
      return status?.phase === 'enforcing'
        ? failed(found, todo)
        : warning(found, `${todo} before you enforce`);
    },
  },
  {
    group: 'proxy',
    name: 'proxy-answers',
    claim: 'outbound answers as a sidecar does',
    judge: ({ config, proxyAnswer }) => {
      if (config === undefined) return noConfig;
      if (proxyAnswer === 'unknown-callee') return ok;
      return failed(
        `a call through it came to ${proxyAnswer ?? 'nothing'}`,
        'start the sidecar, or stop what else listens at outbound.listen of sidecar.yaml',
      );
    },
  },
  {
    group: 'peers',
    name: 'peers-sealed',
    claim: 'every host that this service may call is reached and proves the pair key',
    judge: ({ peers }) => peers.map(hopFinding),
  },
  {
    group: 'peers',
    name: 'signed-probe',
    claim: 'a signed call to each of them is allowed',
    judge: ({ peers }) => peers.map(probeFinding),
  },
  {
    group: 'clock',
    name: 'clock-synchronized',
    claim: 'the clock of this machine is synchronized',
    judge: ({ clock }) => {
      if (clock === undefined) return skipped('timedatectl does not tell');
      return clock === 'synchronized'
        ? ok
        : failed(
            'timedatectl says NTPSynchronized=no',
            'install chrony, or enable systemd-timesyncd; calls are refused from 300 s on',
          );
    },
  },
  {
    group: 'clock',
    name: 'callers-clocks',
    claim: 'the clocks of the callers agree with this one',
    judge: ({ observed }) => (observed === undefined ? noStatus : callersClocks(observed.skew)),
  },
  {
    group: 'phases and versions',
    name: 'ready',
    claim: 'the sidecar is ready',
    judge: ({ status }) => {
      if (status === undefined) return noStatus;
      const found = `${status.phase}, version ${status.version}, build ${status.build.slice(0, 12)}`;
      return status.ready
        ? { result: 'ok', found }
        : failed(
            'it is not ready',
            'it waits for its state or for two seconds after a start; if it stays so, its log says why',
          );
    },
  },
  {
    group: 'phases and versions',
    name: 'policy-loaded',
    claim: 'the sidecar runs the fleet.yaml and authorization.yaml that lie there',
    judge: ({ status, fleet, matrix }) => {
      if (status === undefined) return noStatus;
      const stale = [
        ...(fleet !== undefined && fleet.hash !== status.fleet ? ['fleet.yaml'] : []),
        ...(matrix !== undefined && matrix.hash !== status.matrix ? ['authorization.yaml'] : []),
      ];
      return stale.length === 0
        ? ok
        : failed(
            `it runs another ${stale.join(' and ')}`,
            'its log says why it refused the new one; the old one stays in force until then',
          );
    },
  },
  {
    group: 'phases and versions',
    name: 'boots-what-serves',
    claim: 'what serves now is what starts at boot',
    judge: ({ units, status }) => {
      if (units === undefined) return skipped('found no systemd');
      if (status === undefined) return noStatus;
      const boots = units.sidecars.filter((unit) => unit.boots).map(({ choice }) => nameOf(choice));
      const serves = nameOf(status);
      if (boots.length === 0 && units.installed.length === 0)
        return skipped('no sidecar is installed in /opt/countersign');
      return boots.length === 1 && boots[0] === serves
        ? ok
        : failed(`${serves} serves, ${boots.join(' and ') || 'nothing'} boots`, `countersign swap ${serves}`);
    },
  },
  {
    group: 'keys and rotation',
    name: 'keyring-loaded',
    claim: 'the sidecar has loaded the keyring that lies there',
    judge: ({ status, keyring }) => {
      if (status === undefined) return noStatus;
      if (keyring === undefined) return skipped('keyring.json could not be read');
      return JSON.stringify(status.keys) === JSON.stringify(loadedKeys(keyring))
        ? ok
        : failed(
            'it has other keys',
            'its log says why it refused keyring.json; countersign keys status compares the fleet',
          );
    },
  },
  {
    group: 'keys and rotation',
    name: 'keys-complete',
    claim: 'there is a key in force for every call that the matrix allows',
    judge: (facts) => keysComplete(facts),
  },
  {
    group: 'keys and rotation',
    name: 'rotation-on-time',
    claim: 'no key is older than 90 days',
    judge: ({ observed, status, nowMs }) =>
      observed === undefined || status === undefined
        ? noStatus
        : rotationDue(observed.keys_first_seen, status.keys, nowMs),
  },
  {
    group: 'guard',
    name: 'guard-watches',
    claim: 'a guard watches while the host enforces',
    judge: ({ status, units }) => {
      if (status === undefined) return noStatus;
      if (status.phase === 'logging') return skipped('the logging phase refuses nothing');
      if (units === undefined) return skipped('found no systemd');
      const guards = units.guards.filter((unit) => unit.configured);
      if (guards.length === 0)
        return warning(
          'no guard is installed: nothing swaps back by itself',
          'docs/guard.md says how to install it',
        );
      return guards.some(isUp)
        ? ok
        : failed(
            `${guards.map(({ name, state }) => `${name} is ${state}`).join(', ')}`,
            'journalctl -u says why; countersign swap enforcing starts it',
          );
    },
  },
  {
    group: 'guard',
    name: 'bake-window',
    claim: 'nothing was swapped back, and the bake window is known',
    judge: ({ guard, nowMs }) => {
      if (guard === undefined) return skipped('no guard has kept a state here');
      const { lastRollback, swappedAtMs, bakeMs } = guard;
      if (lastRollback !== undefined && nowMs - lastRollback.atMs < 7 * 86_400_000)
        return warning(
          `it swapped back at ${new Date(lastRollback.atMs).toISOString()}: ${lastRollback.why}`,
          'countersign why explains the refusals; correct the matrix before the next swap',
        );
      if (swappedAtMs === undefined || bakeMs === undefined) return ok;
      const end = new Date(swappedAtMs + bakeMs).toISOString();
      return {
        result: 'ok',
        found: nowMs < swappedAtMs + bakeMs ? `it bakes until ${end}` : `it was over at ${end}`,
      };
    },
  },
  {
    group: 'disk',
    name: 'disk-space',
    claim: 'there is room for state and logs',
    judge: ({ disks }) =>
      disks.map(({ path, freeBytes, totalBytes, freeFiles, totalFiles }) => {
        const share = (free: number, total: number) => (total === 0 ? 1 : free / total);
        const found = `${path}: ${Math.floor(freeBytes / 1024 ** 2)} MiB (${Math.floor(share(freeBytes, totalBytes) * 100)} %) and ${Math.floor(share(freeFiles, totalFiles) * 100)} % of the files are free`;
        const todo = 'free some: replay marks that cannot be written stop the sidecar';
        if (freeBytes < leastFreeBytes || (totalFiles > 0 && freeFiles === 0)) return failed(found, todo);
        const low =
          share(freeBytes, totalBytes) < leastFreeShare || share(freeFiles, totalFiles) < leastFreeShare;
        return low ? warning(found, todo) : ok;
      }),
  },
];
