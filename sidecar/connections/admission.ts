import { createHmac, randomBytes } from 'node:crypto';

/** How many inbound connections there may be, of all threads together; see `limits` of sidecar.yaml. */
export interface AdmissionLimits {
  readonly connections: number;
  readonly unproven_connections: number;
  readonly per_address: number;
}

/** What all threads of a sidecar count together. */
export interface SharedAdmission {
  readonly counts: Int32Array;
  /** Makes it unpredictable which addresses share a counter. */
  readonly key: Uint8Array;
}

/** What the caller of `admit` closes when its place is given to another connection. */
export interface PlaceHolder {
  /** Closes the connection at once. */
  evict(): void;
}

const addressCounters = 2 ** 16;
/** Where the counters of the pots stand; those of addresses follow. */
const pots = { strangers: 0, reserved: 1 } as const;
const firstAddress = Object.keys(pots).length;

export function newSharedAdmission(): SharedAdmission {
  const counts = new Int32Array(new SharedArrayBuffer(4 * (firstAddress + addressCounters)));
  return { counts, key: randomBytes(16) };
}

/**
 * What counts as one address: IPv4 as it is, of IPv6 the /64, for that is what one customer or host gets.
 *
 * @param address as the kernel writes it, IPv4 perhaps mapped to IPv6
 */
export function addressGroup(address: string): string {
  const ipv4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (ipv4 !== undefined) return ipv4;
  if (!address.includes(':')) return address;
  const [before = '', after] = (address.split('%')[0] as string).split('::');
  const groups = before === '' ? [] : before.split(':');
  // The tail of an address counts only as far as "::" leaves it within the first four groups.
  if (after !== undefined) {
    const tail = after === '' ? [] : after.split(':');
    const width = tail.length + (after.includes('.') ? 1 : 0);
    while (groups.length + width < 8) groups.push('0');
    groups.push(...tail);
  }
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

/**
 * Decides which connections a sidecar takes, by what their peers have proven. Strangers share `unproven_connections` and
 * have `per_address` each; proven peers and the addresses of fleet.yaml keep the rest. When a pot is full, the connection
 * of it goes that has waited longest without a request under way: a peer that sends one at once is not crowded out by
 * peers that are silent.
 *
 * One instance a thread; their counts are shared, and each thread evicts connections of its own.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #shared: SharedAdmission;
  #fleet: ReadonlySet<string> = new Set();
  /** Addresses of the fleet from which a handshake failed: they are strangers until one proves its key. */
  readonly #doubted = new Set<string>();
  /** Unproven places without a request under way, the longest waiting first: by pot, and by address. */
  readonly #waiting = { strangers: new Set<Place>(), reserved: new Set<Place>() };
  readonly #waitingOf = new Map<string, Set<Place>>();

  constructor(limits: AdmissionLimits, shared: SharedAdmission, fleetAddresses: Iterable<string>) {
    this.#limits = limits;
    this.#shared = shared;
    this.replaceFleet(fleetAddresses);
  }

  /** Follows a new fleet.yaml; who has a place keeps it. */
  replaceFleet(addresses: Iterable<string>): void {
    this.#fleet = new Set(Array.from(addresses, addressGroup));
  }

  /** Gives a new connection a place, perhaps that of another one; or the limit that leaves none. */
  admit(address: string): Place | keyof AdmissionLimits {
    const { per_address } = this.#limits;
    const group = addressGroup(address);
    const counter = this.#counterOf(group);
    const ofAddress = this.#waitingOf.get(group);
    if (!this.#reserve(counter, per_address, ofAddress)) return 'per_address';
    const pot = this.#potFor(group);
    if (pot === 'connections' || pot === 'unproven_connections') {
      this.#release(counter);
      return pot;
    }
    const place = new Place(this, pot, group, counter);
    this.wait(place);
    return place;
  }

  #potFor(group: string): keyof typeof pots | 'connections' | 'unproven_connections' {
    const { connections, unproven_connections } = this.#limits;
    const { strangers, reserved } = this.#waiting;
    const rest = connections - unproven_connections;
    if (this.#fleet.has(group) && !this.#doubted.has(group) && this.#reserve(pots.reserved, rest, reserved))
      return 'reserved';
    if (!this.#reserve(pots.strangers, unproven_connections, strangers)) return 'unproven_connections';
    // Proven peers may have more than the rest, while strangers leave them the room.
    if (this.total > connections && !(evictFirst(strangers) && this.total <= connections)) {
      this.#release(pots.strangers);
      return 'connections';
    }
    return 'strangers';
  }

  /** Connections that have a place, of all threads. */
  get total(): number {
    const { counts } = this.#shared;
    return Atomics.load(counts, pots.strangers) + Atomics.load(counts, pots.reserved);
  }

  #reserve(counter: number, most: number, waiting: Set<Place> | undefined): boolean {
    return this.#take(counter, most) || (evictFirst(waiting) && this.#take(counter, most));
  }

  #take(counter: number, most: number): boolean {
    if (Atomics.add(this.#shared.counts, counter, 1) < most) return true;
    this.#release(counter);
    return false;
  }

  #release(counter: number): void {
    Atomics.sub(this.#shared.counts, counter, 1);
  }

  #counterOf(group: string): number {
    const hash = createHmac('sha256', this.#shared.key).update(group).digest().readUInt16LE(0);
    return firstAddress + (hash % addressCounters);
  }

  /** For places: it has no request under way. */
  wait(place: Place): void {
    this.#waiting[place.pot].add(place);
    const ofAddress = this.#waitingOf.get(place.group);
    if (ofAddress === undefined) this.#waitingOf.set(place.group, new Set([place]));
    else ofAddress.add(place);
  }

  /** For places: it has a request under way, or nothing to lose any more. */
  unwait(place: Place): void {
    if (!this.#waiting[place.pot].delete(place)) return;
    const ofAddress = this.#waitingOf.get(place.group);
    ofAddress?.delete(place);
    if (ofAddress?.size === 0) this.#waitingOf.delete(place.group);
  }

  /** For places: its peer is proven, and counts as such. */
  moveToProven(place: Place): void {
    this.unwait(place);
    this.#doubted.delete(place.group);
    this.#release(place.counter);
    if (place.pot === 'reserved') return;
    Atomics.add(this.#shared.counts, pots.reserved, 1);
    this.#release(pots.strangers);
  }

  /** For places: a handshake from its address has failed. */
  doubt({ group }: Place): void {
    if (this.#fleet.has(group)) this.#doubted.add(group);
  }

  /** For places: its connection is gone. */
  free(place: Place, wasProven: boolean): void {
    this.unwait(place);
    if (!wasProven) this.#release(place.counter);
    this.#release(wasProven ? pots.reserved : pots[place.pot]);
  }
}

/** Evicts the first of these; false when there is none. */
function evictFirst(waiting: Set<Place> | undefined): boolean {
  const [first] = waiting ?? [];
  first?.evict();
  return first !== undefined;
}

type PlaceState = 'unproven' | 'proven' | 'left';

/** The place of one inbound connection. */
export class Place {
  readonly pot: keyof typeof pots;
  readonly group: string;
  /** Where its address is counted. */
  readonly counter: number;
  /** The connection; set once it is made. */
  holder: PlaceHolder | undefined = undefined;
  readonly #admission: Admission;
  #state: PlaceState = 'unproven';

  constructor(admission: Admission, pot: keyof typeof pots, group: string, counter: number) {
    this.#admission = admission;
    this.pot = pot;
    this.group = group;
    this.counter = counter;
  }

  get isProven(): boolean {
    return this.#state === 'proven';
  }

  /** A request has begun: from here on until `onIdle` its connection is not evicted. */
  onRequest(): void {
    if (this.#state === 'unproven') this.#admission.unwait(this);
  }

  /** No request is under way any more. */
  onIdle(): void {
    if (this.#state === 'unproven') this.#admission.wait(this);
  }

  /** The peer has proven that it is of the fleet. */
  onProven(): void {
    if (this.#state !== 'unproven') return;
    this.#state = 'proven';
    this.#admission.moveToProven(this);
  }

  /** The peer tried to prove that it is of the fleet, and could not. */
  onHandshakeFailed(): void {
    this.#admission.doubt(this);
  }

  /** Another connection needs the place. */
  evict(): void {
    this.leave();
    this.holder?.evict();
  }

  /** The connection is gone. */
  leave(): void {
    if (this.#state === 'left') return;
    const wasProven = this.isProven;
    this.#state = 'left';
    this.#admission.free(this, wasProven);
  }
}
