import type { ComponentChildren } from 'preact';
import { Empty, TableRegion, Wire } from '../../../../web/parts.tsx';
import { counted, hoursText, timeText } from '../../../../web/text.ts';
import type { Readiness as Report } from '../../../readiness/assess.ts';
import type { PageProps } from '../page-props.ts';
import { LivePage } from '../parts/page.tsx';

type Page = Report & { readonly permits_never_seen: number };

/** Page 5: can the fleet enforce, and what is in the way. */
export function Readiness(props: PageProps) {
  return (
    <LivePage<Page> path="/api/readiness" props={props}>
      {(report) => <ReadinessView report={report} />}
    </LivePage>
  );
}

function ReadinessView({ report }: { readonly report: Page }) {
  const { ready, blockers, warnings, sidecars, hops, keys, would_refuse, app_ports, never_seen, mended } =
    report;
  const toSwap = sidecars.filter(({ to_swap }) => to_swap);
  const enough = toSwap.filter(({ logging_seconds }) => logging_seconds >= report.required_logging_seconds);
  const unexplained = would_refuse.filter(({ state }) => state === 'unexplained');
  const unsealed = hops.filter(({ problem }) => problem !== undefined);
  const wrongKeys = keys.filter(({ problems }) => problems.length > 0);
  const exposed = app_ports.filter(({ open }) => open);
  const stale = sidecars.filter(({ matrix_loaded, fleet_loaded }) => !matrix_loaded || !fleet_loaded);
  const notReady = sidecars.filter((each) => !each.ready);
  const missing = blockers.filter((each) => each.startsWith('no sidecar of '));
  return (
    <>
      <h1>{ready ? 'Ready to enforce' : 'Not ready to enforce'}</h1>
      <p class="lede">
        {ready
          ? 'Nothing is in the way.'
          : `${counted(blockers.length, 'thing is', 'things are')} in the way.`}{' '}
        The same as <code>countersign report</code>.
      </p>
      <ol class="checks">
        <Check name="Every sidecar is read" ok={missing.length === 0}>
          {missing.length === 0 ? counted(sidecars.length, 'sidecar') : <Lines lines={missing} />}
        </Check>
        <Check name="Each is ready, with these files" ok={stale.length + notReady.length === 0}>
          {stale.length + notReady.length === 0
            ? 'all have loaded this authorization.yaml and fleet.yaml'
            : `${counted(notReady.length, 'is', 'are')} not ready, ${counted(stale.length, 'runs other files', 'run other files')}`}
        </Check>
        <Check name="Each has logged for 24 h" ok={enough.length === toSwap.length && toSwap.length > 0}>
          <div class="progress">
            {toSwap.map(({ service, host, logging_seconds }) => (
              <label key={`${service} ${host}`}>
                <span>
                  <Wire text={service} most={80} /> <span class="host inline">{host}</span>
                </span>
                <progress
                  max={report.required_logging_seconds}
                  value={Math.min(logging_seconds, report.required_logging_seconds)}
                />
                <span class="number">{hoursText(logging_seconds)} of 24 h</span>
              </label>
            ))}
            {toSwap.length === 0 && <span>No host logs.</span>}
          </div>
        </Check>
        <Check name="No call would be refused unexplained" ok={unexplained.length === 0}>
          {unexplained.length === 0 ? (
            mended > 0 ? (
              `${counted(mended, 'call')} denied before would be allowed by now`
            ) : (
              'none of those recorded'
            )
          ) : (
            <RefusalTable refusals={unexplained} />
          )}
        </Check>
        <Check name="Every pair has its key" ok={wrongKeys.length === 0}>
          {wrongKeys.length === 0 ? (
            counted(keys.length, 'pair')
          ) : (
            <Lines lines={wrongKeys.flatMap(({ problems }) => problems)} />
          )}
        </Check>
        <Check name="Every hop is sealed" ok={unsealed.length === 0}>
          {unsealed.length === 0 ? (
            counted(hops.length, 'hop')
          ) : (
            <Lines
              lines={unsealed.map(
                ({ caller, caller_host, callee, callee_host, detail }) =>
                  `${caller} on ${caller_host} to ${callee} on ${callee_host}: ${detail}`,
              )}
            />
          )}
        </Check>
        <Check name="No app can be reached past its sidecar" ok={exposed.length === 0}>
          {exposed.length === 0 ? (
            app_ports.length === 0 ? (
              'no port to try'
            ) : (
              counted(app_ports.length, 'port tried', 'ports tried')
            )
          ) : (
            <Lines
              lines={exposed.map(({ service, host, port, how }) => `${service} at ${host}:${port}: ${how}`)}
            />
          )}
        </Check>
      </ol>
      <section aria-labelledby="all-blockers">
        <h2 id="all-blockers">In the way</h2>
        {blockers.length === 0 ? <Empty title="Nothing is in the way." /> : <Lines lines={blockers} />}
      </section>
      {warnings.length > 0 && (
        <section aria-labelledby="warnings">
          <h2 id="warnings">Worth a look</h2>
          <Lines lines={warnings} />
        </section>
      )}
      <section aria-labelledby="never-seen">
        <h2 id="never-seen">Never seen</h2>
        {never_seen.permits.length === 0 ? (
          <Empty title="Every rule was used." />
        ) : (
          <details>
            <summary>
              {counted(report.permits_never_seen, 'rule')} that no recorded call needed
              {never_seen.services.length > 0 &&
                `, ${counted(never_seen.services.length, 'service')} without a call`}
            </summary>
            <ul class="plain-list path">
              {never_seen.permits.map(({ callee, rule }) => (
                <li key={`${callee} ${rule}`}>
                  <Wire text={callee} most={80} /> ← <Wire text={rule} most={200} />
                </li>
              ))}
            </ul>
          </details>
        )}
      </section>
    </>
  );
}

function Check({
  name,
  ok,
  children,
}: {
  readonly name: string;
  readonly ok: boolean;
  readonly children: ComponentChildren;
}) {
  return (
    <li class={ok ? 'done' : 'open'}>
      <h2>
        {name}
        <span class="unseen">{ok ? ': yes' : ': not yet'}</span>
      </h2>
      <div class="why">{children}</div>
    </li>
  );
}

function Lines({ lines }: { readonly lines: readonly string[] }) {
  const most = 50;
  return (
    <ul class="plain-list">
      {lines.slice(0, most).map((line) => (
        <li key={line}>
          <Wire text={line} most={500} />
        </li>
      ))}
      {lines.length > most && <li class="muted">and {(lines.length - most).toLocaleString('en-US')} more</li>}
    </ul>
  );
}

function RefusalTable({ refusals }: { readonly refusals: Report['would_refuse'] }) {
  return (
    <TableRegion label="Calls that would be refused">
      <table>
        <thead>
          <tr>
            <th scope="col">Call</th>
            <th scope="col">Reason</th>
            <th scope="col" class="number">
              Times
            </th>
            <th scope="col">Last</th>
          </tr>
        </thead>
        <tbody>
          {refusals.slice(0, 100).map(({ caller, callee, method, path, reason, count, last }) => (
            <tr key={`${caller} ${callee} ${method} ${path} ${reason}`}>
              <th scope="row">
                <Wire text={caller ?? 'not proven'} most={80} /> <span class="muted">→</span>{' '}
                <Wire text={callee} most={80} />
                <span class="host">
                  <Wire text={`${method} ${path}`} most={160} />
                </span>
              </th>
              <td>
                <span class="tag bad">{reason}</span>
              </td>
              <td class="number">{count.toLocaleString('en-US')}</td>
              <td>{timeText(last)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableRegion>
  );
}
