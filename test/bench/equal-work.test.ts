import t from 'tap';
import { differences } from '../../bench/equal-work.ts';
import { peers } from '../../bench/peers/all.ts';
import { haproxyBodies, haproxyDigest } from '../../bench/peers/haproxy.ts';
import { missing, Stage } from '../../bench/stage.ts';

const stage = await Stage.open();
t.teardown(() => stage.close());

for (const peer of [...peers, ...haproxyBodies, haproxyDigest]) {
  const skip = missing(peer) ?? false;
  t.test(
    `${peer.title}${peer.variant === undefined ? '' : `, ${peer.variant},`} ${peer.checks ? 'refuses what ours refuses' : 'lets a call through'}`,
    { skip },
    async (t) => {
      const running = await stage.start(peer);
      t.teardown(() => running.stop());
      t.same(await differences(peer, running.port, stage.identity), []);
    },
  );
}

t.test('a peer that lets a wrong request through is found out', async (t) => {
  const plain = peers.find(({ id }) => id === 'bare')!;
  const running = await stage.start(plain);
  t.teardown(() => running.stop());
  const found = await differences(
    { ...plain, checks: true, dialect: 'rfc9421' },
    running.port,
    stage.identity,
  );
  t.ok(found.includes('a wrong MAC: 200, expected 401'));
  t.ok(found.includes('the same nonce again: 200, expected 401'));
});
