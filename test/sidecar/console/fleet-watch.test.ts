import t from 'tap';
import { FleetWatch, type Reading } from '../../../sidecar/console/fleet-watch.ts';
import { demoFleet } from '../../support/demo-fleet.ts';

t.test('keeps the files before in use when those on disk are broken, and says so', async (t) => {
  const fleet = await demoFleet(t);
  let broken = false;
  const errors: Error[] = [];
  const sources: typeof fleet = {
    ...fleet,
    openPolicy: async () => {
      if (broken) throw new Error('authorization.yaml:3:1: found a tab');
      return fleet.policy;
    },
  };
  const watch = new FleetWatch({ sources, everyMs: 10, onError: (error) => errors.push(error) });
  t.teardown(() => watch.close());
  t.equal((await watch.latest()).problem, undefined);
  broken = true;
  const told = await new Promise<Reading>((resolve) => {
    const end = watch.follow((reading) => {
      if (reading.problem === undefined) return;
      resolve(reading);
      setImmediate(() => end());
    });
  });
  t.match(told, { problem: 'authorization.yaml:3:1: found a tab', policy: fleet.policy });
  t.strictSame(errors, []);
});

t.test(
  'reads the fleet once at a time, goes on after a failure, and throws what the first reading throws',
  async (t) => {
    const fleet = await demoFleet(t);
    let [running, most, count] = [0, 0, 0];
    const errors: string[] = [];
    const sources: typeof fleet = {
      ...fleet,
      async readHosts(signal) {
        most = Math.max(most, ++running);
        if (++count === 2) {
          running--;
          throw new Error('the second fails');
        }
        const hosts = await fleet.readHosts(signal);
        running--;
        return hosts;
      },
    };
    const watch = new FleetWatch({ sources, everyMs: 1, onError: ({ message }) => errors.push(message) });
    t.teardown(() => watch.close());
    await Promise.all([watch.latest(), watch.latest(), watch.latest()]);
    let readings = 0;
    await new Promise<void>((resolve) => {
      const end = watch.follow(() => {
        if (++readings < 5) return;
        resolve();
        setImmediate(() => end());
      });
    });
    t.equal(most, 1);
    t.strictSame(errors, ['the second fails']);
    const failing = new FleetWatch({
      sources: { ...fleet, openPolicy: () => Promise.reject(new Error('found no authorization.yaml')) },
      onError: () => {},
    });
    t.teardown(() => failing.close());
    await t.rejects(failing.latest(), /found no authorization.yaml/);
  },
);
