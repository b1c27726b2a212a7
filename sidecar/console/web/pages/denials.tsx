import { useEffect, useRef, useState } from 'preact/hooks';
import { Empty, TableRegion, Wire } from '../../../../web/parts.tsx';
import { linkTo } from '../../../../web/place.ts';
import { counted, timeText } from '../../../../web/text.ts';
import type { CallPage, DenialRow, DenialsPage } from '../../denials-page.ts';
import { ask } from '../live.ts';
import type { PageProps } from '../page-props.ts';
import { LivePage } from '../parts/page.tsx';
import { Answer } from './matrix.tsx';

const shownAtOnce = 100;

/** Page 4: why calls were denied. */
export function Denials(props: PageProps) {
  return (
    <LivePage<DenialsPage> path="/api/denials" props={props}>
      {(page) => <DenialsView page={page} props={props} />}
    </LivePage>
  );
}

function DenialsView({
  page: { denials, total },
  props,
}: {
  readonly page: DenialsPage;
  readonly props: PageProps;
}) {
  const [most, setMost] = useState(shownAtOnce);
  const filter = filterOf(props.query);
  const found = denials.filter((row) => matches(row, filter));
  const shown = found.slice(0, most);
  const open = props.query.get('id') ?? undefined;
  const day = Date.now() - 86_400_000;
  const recent = denials.filter(({ time }) => Date.parse(time) >= day).length;
  return (
    <>
      <h1>{recent === 0 ? 'No denial in the last 24 h' : `${counted(recent, 'denial')} in the last 24 h`}</h1>
      {denials.length === 0 ? (
        <Empty title="Every call that the sidecars remember was allowed.">
          Each keeps its newest 1,000 denials.
        </Empty>
      ) : (
        <>
          <Filters denials={denials} filter={filter} />
          {shown.length === 0 ? (
            <Empty title="No denial is like this." />
          ) : (
            <TableRegion label="Denials">
              <table class="denials">
                <thead>
                  <tr>
                    <th scope="col">Time</th>
                    <th scope="col">Caller and callee</th>
                    <th scope="col">Call</th>
                    <th scope="col">Reason</th>
                    <th scope="col">Seen by</th>
                  </tr>
                </thead>
                <tbody>
                  {shown.map((row) => (
                    <Row
                      key={`${row.request_id} ${row.service} ${row.direction}`}
                      row={row}
                      filter={filter}
                    />
                  ))}
                </tbody>
              </table>
            </TableRegion>
          )}
          <p class="more">
            {found.length > shown.length && (
              <button type="button" onClick={() => setMost(most + 3 * shownAtOnce)}>
                Show more
              </button>
            )}{' '}
            <span class="muted">
              {shown.length.toLocaleString('en-US')} of {counted(found.length, 'denial')}
              {total > denials.length && `, the newest of ${total.toLocaleString('en-US')}`}
            </span>
          </p>
        </>
      )}
      {open !== undefined && (
        <Drawer id={open} token={props.token} onClose={() => (location.hash = linkTo('denials', filter))} />
      )}
    </>
  );
}

interface Filter extends Readonly<Record<string, string>> {
  readonly text: string;
  readonly reason: string;
  readonly callee: string;
}

function filterOf(query: URLSearchParams): Filter {
  const of = (name: string) => query.get(name) ?? '';
  return { text: of('text'), reason: of('reason'), callee: of('callee') };
}

function matches(row: DenialRow, { text, reason, callee }: Filter): boolean {
  if (reason !== '' && row.reason !== reason) return false;
  if (callee !== '' && row.callee !== callee) return false;
  if (text === '') return true;
  const { caller = '', claimed = '', method, path, detail, request_id, service } = row;
  return [caller, claimed, row.callee, `${method} ${path}`, detail, request_id, service].some((each) =>
    each.toLowerCase().includes(text.toLowerCase()),
  );
}

function Filters({ denials, filter }: { readonly denials: readonly DenialRow[]; readonly filter: Filter }) {
  const choose = (change: Partial<Filter>) => {
    location.replace(linkTo('denials', { ...filter, ...change }));
  };
  const reasons = [
    ...new Set([...denials.map(({ reason }) => reason), ...(filter.reason ? [filter.reason] : [])]),
  ].sort();
  const callees = [
    ...new Set([...denials.map(({ callee }) => callee), ...(filter.callee ? [filter.callee] : [])]),
  ].sort();
  return (
    <div class="filters">
      <label class="grow">
        Text
        <input
          type="search"
          placeholder="caller, path, request id"
          defaultValue={filter.text}
          onInput={(event) => choose({ text: event.currentTarget.value })}
        />
      </label>
      <Choice
        name="Reason"
        value={filter.reason}
        options={reasons}
        onChoose={(reason) => choose({ reason })}
      />
      <Choice
        name="Callee"
        value={filter.callee}
        options={callees}
        onChoose={(callee) => choose({ callee })}
      />
    </div>
  );
}

function Choice({
  name,
  value,
  options,
  onChoose,
}: {
  readonly name: string;
  readonly value: string;
  readonly options: readonly string[];
  readonly onChoose: (value: string) => void;
}) {
  return (
    <label>
      {name}
      <select value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        <option value="">any</option>
        {options.slice(0, 200).map((each) => (
          <option key={each} value={each}>
            {each.slice(0, 80)}
          </option>
        ))}
      </select>
    </label>
  );
}

function Who({ caller, claimed }: Pick<DenialRow, 'caller' | 'claimed'>) {
  if (caller !== undefined) return <Wire text={caller} most={80} />;
  if (claimed === undefined) return <span class="muted">not proven</span>;
  return (
    <span class="muted">
      claims <Wire text={claimed} most={80} />
    </span>
  );
}

function Row({ row, filter }: { readonly row: DenialRow; readonly filter: Filter }) {
  const { time, caller, claimed, callee, method, path, reason, disposition, request_id, service } = row;
  return (
    <tr>
      <td class="time">
        <a href={linkTo('denials', { ...filter, id: request_id })}>
          {timeText(time)}
          <span class="unseen">: show both ends</span>
        </a>
      </td>
      <td>
        <Who caller={caller} claimed={claimed} /> <span class="muted">→</span>{' '}
        <Wire text={callee} most={80} />
      </td>
      <td class="path">
        <Wire text={`${method} ${path}`} most={160} />
      </td>
      <td>
        <span class="tag bad">{reason}</span>
        <span class="host">{disposition === 'forwarded' ? 'forwarded all the same' : disposition}</span>
      </td>
      <td class="muted">
        <Wire text={service} most={80} />
      </td>
    </tr>
  );
}

/** Both ends of one call, from the side. */
function Drawer({
  id,
  token,
  onClose,
}: {
  readonly id: string;
  readonly token: string;
  readonly onClose: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [found, setFound] = useState<CallPage | Error>();
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  useEffect(() => {
    const stop = new AbortController();
    ask<CallPage>(`/api/call?id=${encodeURIComponent(id)}`, token, stop.signal).then(
      setFound,
      (error: Error) => {
        if (!stop.signal.aborted) setFound(error);
      },
    );
    return () => stop.abort();
  }, [id, token]);
  return (
    <dialog ref={dialog} class="drawer" aria-label="One call from both ends" onClose={onClose}>
      <div class="head">
        <h2>One call from both ends</h2>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
      <p class="host">
        <Wire text={id} most={140} />
      </p>
      {found === undefined && <p class="opening">Reading…</p>}
      {found instanceof Error && <Empty title={found.message} />}
      {found !== undefined && !(found instanceof Error) && <BothEnds call={found} />}
    </dialog>
  );
}

function BothEnds({ call: { denials, signed, compared, explanation } }: { readonly call: CallPage }) {
  const differing = compared.filter((each) => each.signed !== each.received);
  const sideOf = (direction: string) => denials.filter(({ denial }) => denial.direction === direction);
  return (
    <>
      <div class="ends">
        <section aria-labelledby="caller-end">
          <h3 id="caller-end">Caller's side</h3>
          {signed !== undefined && (
            <dl class="facts">
              <dt>Signed</dt>
              <dd class="path">
                <Wire text={`${signed.signed.method} ${signed.signed.path}`} most={300} />
              </dd>
              <dt>With</dt>
              <dd>
                <Wire text={signed.signed.kid ?? 'no key'} most={80} />
              </dd>
              <dt>At</dt>
              <dd>{timeText(signed.signed.time)}</dd>
            </dl>
          )}
          {sideOf('outbound').map(({ from, denial }) => (
            <Side key={from} denial={denial} />
          ))}
          {signed === undefined && sideOf('outbound').length === 0 && (
            <p class="muted">It was not read, or knows nothing of the call.</p>
          )}
        </section>
        <section aria-labelledby="callee-end">
          <h3 id="callee-end">Callee's side</h3>
          {sideOf('inbound').map(({ from, denial }) => (
            <Side key={from} denial={denial} />
          ))}
          {sideOf('inbound').length === 0 && (
            <p class="muted">It was not read, or knows nothing of the call.</p>
          )}
        </section>
      </div>
      {compared.length > 0 && (
        <section aria-labelledby="compared">
          <h3 id="compared">
            {differing.length === 0 ? 'Every covered value arrived as it was signed' : 'Changed on the way'}
          </h3>
          <TableRegion label="Covered components">
            <table>
              <thead>
                <tr>
                  <th scope="col">Covered component</th>
                  <th scope="col">As signed</th>
                  <th scope="col">As received</th>
                </tr>
              </thead>
              <tbody>
                {compared.map(({ component, signed: one, received }) => {
                  const differs = one !== received;
                  const value = (text: string | undefined) =>
                    differs ? <mark>{text ?? 'nothing'}</mark> : (text ?? '–');
                  return (
                    <tr key={component}>
                      <th scope="row" class="path">
                        <Wire text={component} most={80} />
                        {differs && <span class="tag bad">differs</span>}
                      </th>
                      <td class="path">{value(one)}</td>
                      <td class="path">{value(received)}</td>
                    </tr>
                  );
                })}
              </tbody>
            </table>
          </TableRegion>
        </section>
      )}
      {explanation !== undefined && (
        <section aria-labelledby="matrix-says">
          <h3 id="matrix-says">What authorization.yaml says of it now</h3>
          <Answer answer={explanation} />
        </section>
      )}
    </>
  );
}

function Side({ denial }: { readonly denial: CallPage['denials'][number]['denial'] }) {
  const {
    caller,
    claimed,
    callee,
    method,
    path,
    reason,
    detail,
    rule,
    expected,
    received,
    kid,
    disposition,
    time,
  } = denial;
  return (
    <dl class="facts">
      <dt>Call</dt>
      <dd>
        <Who caller={caller} claimed={claimed} /> <span class="muted">→</span>{' '}
        <Wire text={callee} most={80} />
        <span class="path block">
          <Wire text={`${method} ${path}`} most={600} />
        </span>
      </dd>
      <dt>Reason</dt>
      <dd>
        <span class="tag bad">{reason}</span> {disposition}
        <span class="block">
          <Wire text={detail} most={800} />
        </span>
      </dd>
      {expected !== undefined && (
        <>
          <dt>Expected</dt>
          <dd>
            <mark>
              <Wire text={expected} most={400} />
            </mark>
          </dd>
        </>
      )}
      {received !== undefined && (
        <>
          <dt>Received</dt>
          <dd>
            <mark>
              <Wire text={received} most={400} />
            </mark>
          </dd>
        </>
      )}
      {rule !== undefined && (
        <>
          <dt>Nearest rule</dt>
          <dd>
            <Wire text={rule} most={200} />
          </dd>
        </>
      )}
      {kid !== undefined && (
        <>
          <dt>Key</dt>
          <dd>
            <Wire text={kid} most={80} />
          </dd>
        </>
      )}
      <dt>At</dt>
      <dd>{timeText(time)}</dd>
    </dl>
  );
}
