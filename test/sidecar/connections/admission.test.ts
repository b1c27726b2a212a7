import t from 'tap';
import {
  Admission,
  type AdmissionLimits,
  addressGroup,
  newSharedAdmission,
  Place,
} from '../../../sidecar/connections/admission.ts';

const stranger = '198.51.100.1';
const peer = '203.0.113.7';
const limits = { connections: 10, unproven_connections: 6, per_address: 4 };

/** Connections by name, and which of them were evicted. */
class Connections {
  readonly evicted: string[] = [];
  readonly #admission: Admission;

  constructor(changes: Partial<AdmissionLimits> = {}, shared = newSharedAdmission()) {
    this.#admission = new Admission({ ...limits, ...changes }, shared, [peer]);
  }

  get total(): number {
    return this.#admission.total;
  }

  /** A new connection; a limit when there is no place for it. */
  open(name: string, address = stranger): Place | string {
    const place = this.#admission.admit(address);
    if (place instanceof Place) place.holder = { evict: () => this.evicted.push(name) };
    return place;
  }

  opened(name: string, address = stranger): Place {
    const place = this.open(name, address);
    if (!(place instanceof Place)) throw new Error(`${name} found no place: ${place}`);
    return place;
  }
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `c${i}`);

t.test('an address at its limit loses its own longest silent connection, nobody else', async (t) => {
  const all = new Connections();
  all.opened('other', '198.51.100.2');
  for (const name of names(7)) all.opened(name);
  t.strictSame(all.evicted, ['c0', 'c1', 'c2']);
  t.equal(all.total, 5);
});

t.test('strangers at their limit lose the longest silent connection of them all', async (t) => {
  const all = new Connections({ per_address: 6 });
  for (const name of names(6)) all.opened(name, `198.51.100.${name.slice(1)}`);
  all.opened('new', '198.51.100.99');
  t.strictSame(all.evicted, ['c0']);
  t.equal(all.total, 6);
});

t.test(
  'a connection with a request under way keeps its place; one that is idle again does not',
  async (t) => {
    const all = new Connections();
    const places = names(4).map((name) => all.opened(name));
    for (const place of places) place.onRequest();
    t.equal(all.open('late'), 'per_address');
    t.strictSame(all.evicted, []);
    places[2]!.onIdle();
    places[0]!.onIdle();
    all.opened('later');
    t.strictSame(all.evicted, ['c2'], 'the one that has been idle for longest');
  },
);

t.test('strangers that all have requests under way leave no place for further ones', async (t) => {
  const all = new Connections({ per_address: 6 });
  for (const name of names(6)) all.opened(name).onRequest();
  t.equal(all.open('late', '198.51.100.2'), 'unproven_connections');
  t.equal(all.total, 6);
  t.ok(all.open('peer', peer) instanceof Place, 'addresses of the fleet have a share of their own');
});

t.test('a proven peer counts with strangers no more, and is never evicted', async (t) => {
  const all = new Connections();
  const proven = names(4).map((name) => all.opened(name));
  for (const place of proven) place.onProven();
  for (const place of proven) place.onIdle();
  for (const name of ['a', 'b', 'c', 'd', 'e']) all.opened(name);
  t.strictSame(all.evicted, ['a']);
  t.equal(all.total, 8);
  for (const place of proven) place.leave();
  t.equal(all.total, 4);
});

t.test('an address of the fleet that is silent has its share, and then what strangers have', async (t) => {
  const all = new Connections({ per_address: 6 });
  for (const name of names(5)) all.opened(name, peer);
  t.strictSame(all.evicted, ['c0'], 'its share is what strangers cannot have');
  for (const name of names(4)) all.opened(`s${name}`);
  t.equal(all.total, 8);
  const busy = new Connections();
  for (const name of names(4)) busy.opened(name, peer).onProven();
  const further = busy.opened('further', peer);
  t.equal(further.pot, 'strangers');
});

t.test('proven peers may fill what strangers leave, up to all of it', async (t) => {
  const all = new Connections({ per_address: 6 });
  for (const name of names(9)) all.opened(name).onProven();
  const last = all.opened('last');
  last.onRequest();
  t.equal(all.open('late'), 'connections');
  last.onIdle();
  t.ok(all.open('later') instanceof Place);
  t.strictSame(all.evicted, ['last']);
  t.equal(all.total, 10);
});

t.test('whatever order things happen in, every place is given back once', async (t) => {
  const all = new Connections();
  const place = all.opened('a');
  place.onProven();
  place.onProven();
  place.leave();
  place.leave();
  place.onIdle();
  place.onRequest();
  const evicted = all.opened('b');
  evicted.evict();
  evicted.leave();
  evicted.onIdle();
  t.equal(all.total, 0);
  for (const name of names(4)) all.opened(name);
  t.strictSame(all.evicted, ['b'], 'what was given back is free');
});

t.test('an address of the fleet whose handshake failed is a stranger until it proves its key', async (t) => {
  const all = new Connections();
  const failed = all.opened('failed', peer);
  t.equal(failed.pot, 'reserved');
  failed.onHandshakeFailed();
  failed.leave();
  const doubted = all.opened('doubted', peer);
  t.equal(doubted.pot, 'strangers');
  doubted.onProven();
  t.equal(all.opened('again', peer).pot, 'reserved');
  all.opened('other').onHandshakeFailed();
  t.equal(all.opened('a stranger').pot, 'strangers');
});

t.test('threads count together, and each evicts connections of its own', async (t) => {
  const shared = newSharedAdmission();
  const one = new Connections({}, shared);
  const other = new Connections({}, shared);
  one.opened('one');
  for (const name of names(3)) other.opened(name);
  t.equal(one.total, 4);
  one.opened('new');
  t.strictSame(one.evicted, ['one']);
  t.strictSame(other.evicted, []);
});

t.test('addresses: IPv4 one by one, IPv6 by the /64', async (t) => {
  for (const [address, group] of [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:0:1:a:b:c:d', '2001:db8:0:1::/64'],
    ['2001:0db8:0:1::9', '2001:db8:0:1::/64'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['2001:db8:0:2::9', '2001:db8:0:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  ] as const)
    t.equal(addressGroup(address), group, address);
  const all = new Connections();
  for (const name of names(5)) all.opened(name, `2001:db8::${name.slice(1)}`);
  t.strictSame(all.evicted, ['c0']);
});
