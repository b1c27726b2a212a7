import { choose, parseWanted, type Wanted } from '../../sidecar/swap/choose.ts';
import type { Layout } from '../../sidecar/swap/layout.ts';
import { swap } from '../../sidecar/swap/swap.ts';

/** A swap as a process of its own, which can be killed: `swap-process.ts LAYOUT-AS-JSON TARGET`. */
const [, , layout = '', target = ''] = process.argv;
const wanted = parseWanted(target) as Wanted;
const changed = await swap((host) => choose(wanted, host), {
  layout: JSON.parse(layout) as Layout,
  say: (line) => process.stderr.write(`${line}\n`),
});
process.stdout.write(changed ? 'changed' : 'unchanged');
