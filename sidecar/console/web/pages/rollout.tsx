import { Empty, TableRegion, Wire } from '../../../../web/parts.tsx';
import { counted, hoursText, timeText } from '../../../../web/text.ts';
import type { HostRollout, RolloutPage } from '../../rollout-page.ts';
import type { PageProps } from '../page-props.ts';
import { LivePage } from '../parts/page.tsx';
import { Timeline } from '../parts/timeline.tsx';

const shownDays = 7;
const dayMs = 86_400_000;
const mostRows = 100;

/** Page 7: from logging to enforcing, host by host. */
export function Rollout(props: PageProps) {
  return (
    <LivePage<RolloutPage> path="/api/rollout" props={props}>
      {(page) => <RolloutView page={page} />}
    </LivePage>
  );
}

function RolloutView({ page: { hosts, builds, unreachable, taken_at } }: { readonly page: RolloutPage }) {
  const nowMs = Date.parse(taken_at);
  const enforcing = hosts.filter(({ phase }) => phase === 'enforcing').length;
  const baking = hosts.filter(({ bake_until }) => bake_until !== undefined);
  const rollbacks = hosts
    .flatMap(({ service, host, rollbacks }) => rollbacks.map(({ at }) => ({ service, host, at })))
    .sort((a, b) => (a.at < b.at ? 1 : -1));
  return (
    <>
      <h1>
        {hosts.length === 0
          ? 'No host was read'
          : enforcing === 0
            ? 'Every host logs'
            : enforcing === hosts.length
              ? 'Every host enforces'
              : `${enforcing} of ${counted(hosts.length, 'host')} enforce`}
      </h1>
      <p class="lede">
        What the sidecars recorded of themselves. Which binary runs decides what happens to a denied call,
        nothing else.
      </p>
      {unreachable.length > 0 && (
        <p class="notice warn">
          Not read: <Wire text={unreachable.slice(0, 20).join(', ')} most={600} />
        </p>
      )}
      {hosts.length > 0 && (
        <section aria-labelledby="phases">
          <div class="head">
            <h2 id="phases">Phases of the last {shownDays} days</h2>
            <ul class="legend boxes" aria-label="Phases">
              <li class="logging">logging</li>
              <li class="enforcing">enforcing</li>
              <li class="gap">no sidecar ran, or nothing is remembered</li>
            </ul>
          </div>
          <Timeline
            label="Phases of each host"
            fromMs={nowMs - shownDays * dayMs}
            toMs={nowMs}
            rows={hosts.slice(0, mostRows).map(({ service, host, spans }) => ({
              name: `${service} ${host}`,
              spans: spans.map(({ phase, from, to }) => ({
                kind: phase,
                fromMs: Date.parse(from),
                toMs: Date.parse(to),
                title: `${phase} from ${timeText(from)} to ${timeText(to)}`,
              })),
            }))}
            ends={[`${shownDays} d ago`, 'now']}
          />
          {hosts.length > mostRows && (
            <p class="muted">
              the first {mostRows} of {counted(hosts.length, 'host')}
            </p>
          )}
        </section>
      )}
      <section aria-labelledby="bake">
        <h2 id="bake">Bake windows</h2>
        {baking.length === 0 ? (
          <Empty title="No host is in its bake window.">
            For 24 h after a swap to enforcing, the guard of a host swaps back when calls that were allowed
            before fail.
          </Empty>
        ) : (
          <Bakes hosts={baking} nowMs={nowMs} />
        )}
      </section>
      <section aria-labelledby="rollbacks">
        <h2 id="rollbacks">Swaps back to logging</h2>
        {rollbacks.length === 0 ? (
          <Empty title="No host went back to logging in the last eight days." />
        ) : (
          <>
            <ul class="plain-list">
              {rollbacks.slice(0, 50).map(({ service, host, at }) => (
                <li key={`${service} ${host} ${at}`}>
                  {timeText(at)} <Wire text={service} most={80} /> <span class="host inline">{host}</span>
                </li>
              ))}
            </ul>
            <p class="muted">
              Why a guard swapped back stands in the journal of the host: journalctl -u countersign-guard
            </p>
          </>
        )}
      </section>
      <section aria-labelledby="builds">
        <h2 id="builds">Builds that run</h2>
        <TableRegion label="Builds">
          <table>
            <thead>
              <tr>
                <th scope="col">Version</th>
                <th scope="col">Phase</th>
                <th scope="col">Build</th>
                <th scope="col" class="number">
                  Hosts
                </th>
              </tr>
            </thead>
            <tbody>
              {builds.map(({ version, phase, build, hosts: count }) => (
                <tr key={`${phase} ${build}`}>
                  <th scope="row">{version}</th>
                  <td>
                    <span class={`phase ${phase}`}>{phase}</span>
                  </td>
                  <td class="path">{build.slice(0, 12)}</td>
                  <td class="number">{count}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableRegion>
      </section>
    </>
  );
}

function Bakes({ hosts, nowMs }: { readonly hosts: readonly HostRollout[]; readonly nowMs: number }) {
  return (
    <div class="progress">
      {hosts.slice(0, mostRows).map(({ service, host, enforcing_since, bake_until }) => {
        const [since, until] = [Date.parse(enforcing_since ?? ''), Date.parse(bake_until ?? '')];
        return (
          <label key={`${service} ${host}`}>
            <span>
              <Wire text={service} most={80} /> <span class="host inline">{host}</span>
            </span>
            <progress max={until - since} value={nowMs - since} />
            <span class="number">{hoursText((until - nowMs) / 1000)} left</span>
          </label>
        );
      })}
    </div>
  );
}
