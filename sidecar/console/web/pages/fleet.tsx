import { useState } from 'preact/hooks';
import { Empty, TableRegion, Wire } from '../../../../web/parts.tsx';
import { counted } from '../../../../web/text.ts';
import type { HostRow } from '../../../fleet-view/hosts.ts';
import { ageText, durationText, rateText, shareText } from '../../../fleet-view/quantities.ts';
import type { FleetPage } from '../../fleet-page.ts';
import type { PageProps } from '../page-props.ts';
import { Chart } from '../parts/chart.tsx';
import { LivePage } from '../parts/page.tsx';

const shownAtOnce = 100;

/** Page 1: how the fleet is, in one sentence, and every host. */
export function Fleet(props: PageProps) {
  return (
    <LivePage<FleetPage> path="/api/fleet" props={props}>
      {(page) => <FleetView page={page} />}
    </LivePage>
  );
}

function FleetView({ page }: { readonly page: FleetPage }) {
  const { summary, traffic, hosts, history, problem } = page;
  return (
    <>
      <h1 class="sentence">{summary.sentence}.</h1>
      {summary.in_the_way > 0 && (
        <p class="lede">
          <a href="#/readiness">See what is in the way</a>
        </p>
      )}
      {problem !== undefined && (
        <p class="notice bad">
          The files on disk cannot be used, those before stay in force here: <Wire text={problem} />
        </p>
      )}
      <dl class="figures">
        <Figure name="calls a second" value={rateText(traffic.per_second)} />
        <Figure name="answered below 500" value={shareText(traffic.success_rate)} />
        <Figure name="half end within" value={durationText(traffic.p50_seconds)} />
        <Figure name="99 % end within" value={durationText(traffic.p99_seconds)} />
        <Figure
          name="denied a second"
          value={rateText(traffic.denied_per_second)}
          bad={traffic.denied_per_second > 0}
        />
      </dl>
      <Chart history={history} />
      <Hosts hosts={hosts} />
    </>
  );
}

function Figure({
  name,
  value,
  bad = false,
}: {
  readonly name: string;
  readonly value: string;
  readonly bad?: boolean;
}) {
  return (
    <div class={bad ? 'figure bad' : 'figure'}>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Hosts({ hosts }: { readonly hosts: readonly HostRow[] }) {
  const [filter, setFilter] = useState('');
  const [most, setMost] = useState(shownAtOnce);
  const found = hosts.filter(({ service, host }) => `${service} ${host}`.includes(filter.toLowerCase()));
  const shown = found.slice(0, most);
  return (
    <section aria-labelledby="hosts">
      <div class="head">
        <h2 id="hosts">Hosts</h2>
        {hosts.length > 8 && (
          <label class="filter">
            <span class="unseen">Service or host</span>
            <input
              type="search"
              placeholder="Service or host"
              value={filter}
              onInput={(event) => setFilter(event.currentTarget.value)}
            />
          </label>
        )}
      </div>
      {shown.length === 0 ? (
        <Empty title={hosts.length === 0 ? 'No host was read.' : 'No host has this in its name.'} />
      ) : (
        <TableRegion label="Hosts">
          <table>
            <thead>
              <tr>
                <th scope="col">Service</th>
                <th scope="col">Phase</th>
                <th scope="col">Health</th>
                <th scope="col" class="number">
                  Calls/s
                </th>
                <th scope="col" class="number">
                  Success
                </th>
                <th scope="col" class="number">
                  p99
                </th>
                <th scope="col" class="number">
                  Denied/s
                </th>
                <th scope="col" class="number">
                  Skew
                </th>
                <th scope="col" class="number">
                  Key age
                </th>
                <th scope="col" class="number">
                  Sealed
                </th>
                <th scope="col">Version</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <Host key={`${row.service} ${row.host}`} row={row} />
              ))}
            </tbody>
          </table>
        </TableRegion>
      )}
      {found.length > shown.length && (
        <p class="more">
          <button type="button" onClick={() => setMost(most + 5 * shownAtOnce)}>
            Show more
          </button>{' '}
          <span class="muted">
            {shown.length} of {counted(found.length, 'host')}
          </span>
        </p>
      )}
    </section>
  );
}

function Host({ row }: { readonly row: HostRow }) {
  const {
    service,
    host,
    phase,
    version,
    inbound,
    outbound,
    skew_seconds,
    key_age_seconds,
    sealed_share,
    problem,
  } = row;
  // A service that only calls others has no calls that come in.
  const traffic = row.app === 'none' ? outbound : inbound;
  return (
    <tr>
      <th scope="row">
        <a href={`#/graph?service=${encodeURIComponent(service)}`}>
          <Wire text={service} most={80} />
        </a>
        <span class="host">
          <Wire text={host} most={80} />
        </span>
      </th>
      <td>
        {phase === undefined ? <span class="muted">–</span> : <span class={`phase ${phase}`}>{phase}</span>}
      </td>
      <td>
        <Health row={row} />
        {problem !== undefined && (
          <span class="problem">
            <Wire text={problem} most={160} />
          </span>
        )}
      </td>
      <td class="number">{rateText(traffic?.per_second)}</td>
      <td class={`number ${(traffic?.success_rate ?? 1) < 0.99 ? 'warn' : ''}`}>
        {shareText(traffic?.success_rate)}
      </td>
      <td class="number">{durationText(traffic?.p99_seconds)}</td>
      <td class={`number ${(traffic?.denied ?? 0) > 0 ? 'bad' : ''}`}>
        {rateText(traffic?.denied_per_second)}
      </td>
      <td class={`number ${Math.abs(skew_seconds ?? 0) > 60 ? 'warn' : ''}`}>{skewText(skew_seconds)}</td>
      <td class={`number ${(key_age_seconds ?? 0) > 90 * 86_400 ? 'warn' : ''}`}>
        {ageText(key_age_seconds)}
      </td>
      <td class={`number ${(sealed_share ?? 1) < 1 ? 'warn' : ''}`}>{shareText(sealed_share)}</td>
      <td class="muted">{version ?? '–'}</td>
    </tr>
  );
}

/** Below the resolution of a skew that anybody cares for it is none. */
function skewText(seconds: number | undefined): string {
  if (seconds === undefined) return '-';
  if (Math.abs(seconds) < 0.5) return '< 1 s';
  return `${seconds > 0 ? '+' : '−'}${Math.abs(seconds).toFixed(Math.abs(seconds) < 10 ? 1 : 0)} s`;
}

function Health({ row: { health, app } }: { readonly row: HostRow }) {
  if (health === 'unreachable') return <span class="state bad">can not be read</span>;
  if (health === 'not-ready') return <span class="state warn">not ready</span>;
  if (app === 'down') return <span class="state bad">app down</span>;
  if (app === 'slow') return <span class="state warn">app slow</span>;
  return <span class="state good">ready</span>;
}
