import { useState } from 'preact/hooks';
import { Empty, TableRegion, Wire } from '../../../../web/parts.tsx';
import { linkTo } from '../../../../web/place.ts';
import { counted } from '../../../../web/text.ts';
import type { Explanation } from '../../../matrix-tools/explain.ts';
import type { MatrixCell, MatrixPage } from '../../matrix-page.ts';
import { ask } from '../live.ts';
import type { PageProps } from '../page-props.ts';
import { LivePage } from '../parts/page.tsx';
import { ServiceFilter } from '../parts/service-filter.tsx';
import { Routes, stateTexts } from './graph.tsx';

/** Page 3: who may call whom. */
export function Matrix(props: PageProps) {
  const service = props.query.get('service') ?? '';
  return (
    <LivePage<MatrixPage> path={`/api/matrix?service=${encodeURIComponent(service)}`} props={props}>
      {(page) => <MatrixView page={page} props={props} />}
    </LivePage>
  );
}

function MatrixView({ page, props }: { readonly page: MatrixPage; readonly props: PageProps }) {
  const { file, services, around, cells, cells_total, rules, rules_unused } = page;
  const service = props.query.get('service') ?? '';
  const chosen = cells.find(({ caller, callee }) => `${caller} ${callee}` === props.query.get('cell'));
  return (
    <>
      <h1>
        {around === undefined ? (
          'Who may call whom'
        ) : (
          <>
            Around <Wire text={around} most={80} />
          </>
        )}
      </h1>
      <p class="lede">
        {counted(rules, 'rule')} in <code>{file}</code>; {counted(rules_unused, 'rule')} not used by any call
        that is remembered.
      </p>
      <div class="bar">
        <ServiceFilter services={services} value={service} page="matrix" />
        <ul class="legend boxes" aria-label="Fields">
          <li class="used">rules used</li>
          <li class="never-seen">none used</li>
          <li class="not-permitted">denied</li>
        </ul>
      </div>
      {cells.length < cells_total && (
        <p class="notice">
          {cells.length} of {counted(cells_total, 'pair')}: choose a service to see its own.
        </p>
      )}
      {cells.length === 0 ? (
        <Empty title="Nothing is permitted.">authorization.yaml has no rule.</Empty>
      ) : (
        <Grid cells={cells} chosen={chosen} service={service} />
      )}
      {chosen !== undefined && (
        <section aria-label="Rules of the pair" class="panel">
          <div class="head">
            <h2>
              {chosen.caller === 'unknown' ? 'Public' : <Wire text={chosen.caller} most={80} />}{' '}
              <span class="muted">to</span> <Wire text={chosen.callee} most={80} />
            </h2>
            <a href={linkTo('matrix', { service })}>Close</a>
          </div>
          <Routes edge={chosen} token={props.token} />
        </section>
      )}
      <Explain token={props.token} />
      <Suggestions page={page} />
    </>
  );
}

function Grid({
  cells,
  chosen,
  service,
}: {
  readonly cells: readonly MatrixCell[];
  readonly chosen: MatrixCell | undefined;
  readonly service: string;
}) {
  const callees = [...new Set(cells.map(({ callee }) => callee))].sort();
  const callers = [...new Set(cells.map(({ caller }) => caller))].sort((a, b) =>
    a === 'unknown' ? -1 : b === 'unknown' ? 1 : a < b ? -1 : 1,
  );
  const at = new Map(cells.map((cell) => [`${cell.caller} ${cell.callee}`, cell]));
  return (
    <TableRegion label="Caller by callee">
      <table class="matrix">
        <thead>
          <tr>
            <th scope="col" class="corner">
              caller ↓ callee →
            </th>
            {callees.map((callee) => (
              <th scope="col" key={callee}>
                <Wire text={callee} most={80} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {callers.map((caller) => (
            <tr key={caller}>
              <th scope="row">
                {caller === 'unknown' ? (
                  <span class="muted">anyone (public)</span>
                ) : (
                  <Wire text={caller} most={80} />
                )}
              </th>
              {callees.map((callee) => {
                const cell = at.get(`${caller} ${callee}`);
                if (cell === undefined) return <td key={callee} />;
                return (
                  <td key={callee}>
                    <Cell cell={cell} isChosen={cell === chosen} service={service} />
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </TableRegion>
  );
}

function Cell({
  cell: { caller, callee, state, rules, used, denied },
  isChosen,
  service,
}: {
  readonly cell: MatrixCell;
  readonly isChosen: boolean;
  readonly service: string;
}) {
  const kind = state === 'not-permitted' ? 'not-permitted' : used > 0 ? 'used' : 'never-seen';
  return (
    <a
      class={`cell ${kind}${isChosen ? ' chosen' : ''}`}
      href={linkTo('matrix', { service, cell: isChosen ? undefined : `${caller} ${callee}` })}
      title={stateTexts[state]}
    >
      {rules > 0 && (
        <span>
          {used}
          <span class="of">/{rules}</span>
          <span class="unseen">
            {' '}
            rules of {caller} at {callee} are used
          </span>
        </span>
      )}
      {denied > 0 && <span class="denials">{denied.toLocaleString('en-US')} denied</span>}
    </a>
  );
}

function Explain({ token }: { readonly token: string }) {
  const [answer, setAnswer] = useState<Explanation | Error>();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const query = new URLSearchParams([...fields].map(([name, value]) => [name, String(value).trim()]));
    ask<Explanation>(`/api/explain?${query}`, token).then(setAnswer, (error: Error) => setAnswer(error));
  };
  return (
    <section aria-labelledby="explain">
      <div class="head">
        <h2 id="explain">May this call be made?</h2>
      </div>
      <form class="row" onSubmit={submit}>
        <label>
          Caller
          <input name="caller" list="services" placeholder="anyone" />
        </label>
        <label>
          Method
          <input name="method" defaultValue="GET" required size={7} />
        </label>
        <label>
          Callee
          <input name="callee" list="services" required />
        </label>
        <label class="grow">
          Path
          <input name="path" placeholder="/api/status/7" required />
        </label>
        <button type="submit" class="primary">
          Explain
        </button>
      </form>
      <div role="status">{answer !== undefined && <Answer answer={answer} />}</div>
    </section>
  );
}

/** What the matrix says of one call; the drawer of a denial shows the same. */
export function Answer({ answer }: { readonly answer: Explanation | Error }) {
  if (answer instanceof Error) return <p class="notice bad">{answer.message}</p>;
  const { allowed, rule, place, reason, detail, nearest = [], notes } = answer;
  return (
    <div class={`notice ${allowed ? 'good' : 'bad'}`}>
      {allowed ? (
        <p>
          Allowed by <Wire text={rule ?? ''} /> {place !== undefined && <code>{place}</code>}
        </p>
      ) : (
        <p>
          Denied, {reason}: <Wire text={detail ?? ''} />
        </p>
      )}
      {nearest.length > 0 && (
        <ul class="nearest">
          {nearest.map((near) => (
            <li key={near.place}>
              nearest: <Wire text={near.rule} /> <code>{near.place}</code>
              {near.expected !== '' && (
                <span class="differs">
                  expects{' '}
                  <mark>
                    <Wire text={near.expected} />
                  </mark>
                  , received{' '}
                  <mark>
                    <Wire text={near.received} />
                  </mark>
                </span>
              )}
            </li>
          ))}
        </ul>
      )}
      {notes.map((note) => (
        <p key={note}>
          <Wire text={note} />
        </p>
      ))}
    </div>
  );
}

function Suggestions({ page: { yaml, proposals, withheld, file } }: { readonly page: MatrixPage }) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    navigator.clipboard.writeText(yaml).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  };
  const added = yaml.split('\n').filter((line) => line !== '');
  return (
    <section aria-labelledby="suggested">
      <div class="head">
        <h2 id="suggested">Suggested rules</h2>
        {proposals.length > 0 && (
          <button type="button" onClick={copy}>
            {copied ? 'Copied' : 'Copy YAML'}
          </button>
        )}
      </div>
      {proposals.length === 0 ? (
        <Empty title="No rule is missing.">
          Every call of a proven caller that is remembered is allowed.
        </Empty>
      ) : (
        <>
          <p class="lede">
            For calls of proven callers that were denied. A call that was made is not a call that should be
            allowed: read before adding to <code>{file}</code>.
          </p>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls has to be reached by keyboard */}
          <pre class="diff" tabIndex={0}>
            {added.map((line, index) => (
              <span key={`${index} ${line}`} class={line.trimStart().startsWith('- ') ? 'added' : 'context'}>
                <Wire text={line} />
              </span>
            ))}
          </pre>
        </>
      )}
      {withheld.length > 0 && (
        <details>
          <summary>{counted(withheld.length, 'kind of call', 'kinds of calls')} not proposed</summary>
          <ul class="plain-list">
            {withheld.map(({ caller, callee, method, path, count, why }) => (
              <li key={`${caller} ${callee} ${method} ${path} ${why}`}>
                {count.toLocaleString('en-US')} ×{' '}
                <Wire
                  text={
                    caller === undefined
                      ? `calls to ${callee}`
                      : `${method} ${path} of ${caller} at ${callee}`
                  }
                  most={200}
                />
                : <span class="muted">{why}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
