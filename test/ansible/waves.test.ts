import { readFile } from 'node:fs/promises';
import t from 'tap';

/** Minutes that a wave is watched unless told otherwise, and that its swaps take: 10 s a swap, several at once. */
const watchMinutes = 5;
const swapMinutes = 1;

/** Sizes of the waves, as Ansible makes them of `serial`: per cent of all hosts, rounded down, at least one; the last one repeats. */
function waves(serial: readonly (number | string)[], hosts: number): number[] {
  const sizes: number[] = [];
  let left = hosts;
  for (let index = 0; left > 0; index += 1) {
    const item = serial[Math.min(index, serial.length - 1)] as number | string;
    const size = typeof item === 'number' ? item : Math.floor((Number.parseInt(item, 10) / 100) * hosts) || 1;
    sizes.push(Math.min(size, left));
    left -= size;
  }
  return sizes;
}

for (const book of ['upgrade', 'phase-2-enforcing']) {
  t.test(`${book}.yml takes sixty hosts in less than an hour, and never all at once`, async (t) => {
    const text = await readFile(new URL(`../../ansible/playbooks/${book}.yml`, import.meta.url), 'utf8');
    const serial = /countersign_waves \| default\((\[.*\])\)/.exec(text)?.[1];
    t.type(serial, 'string');
    const sizes = JSON.parse((serial as string).replaceAll("'", '"')) as (number | string)[];
    t.match(
      text,
      new RegExp(`_watch \\| default\\('${watchMinutes}m'\\)`),
      'is watched for as long as this test says',
    );
    const minutes = waves(sizes, 60).length * (watchMinutes + swapMinutes);
    t.ok(minutes <= 60, `sixty hosts: ${minutes} min in waves of ${waves(sizes, 60).join(', ')}`);
    for (let hosts = 2; hosts <= 200; hosts += 1) {
      const made = waves(sizes, hosts);
      t.equal(made[0], 1);
      t.ok(Math.max(...made) <= Math.max(1, hosts / 5), `${hosts} hosts`);
    }
  });
}
