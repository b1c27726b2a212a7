import { useState } from 'preact/hooks';
import { Empty, TableRegion, Wire } from '../../../../web/parts.tsx';
import { counted, timeText } from '../../../../web/text.ts';
import { ageText } from '../../../fleet-view/quantities.ts';
import type { Generation, KeysPage, RotationStep, ServiceKeys } from '../../keys-page.ts';
import type { PageProps } from '../page-props.ts';
import { LivePage } from '../parts/page.tsx';
import { Timeline } from '../parts/timeline.tsx';

const dayMs = 86_400_000;
const rotationDays = 90;
const shownAtOnce = 40;

/** Page 6: generations of keys, and who has loaded what. */
export function Keys(props: PageProps) {
  return (
    <LivePage<KeysPage> path="/api/keys" props={props}>
      {(page) => <KeysView page={page} />}
    </LivePage>
  );
}

function KeysView({ page: { services, silent, taken_at } }: { readonly page: KeysPage }) {
  const [filter, setFilter] = useState('');
  const shown = services
    .filter(({ service }) => service.includes(filter.toLowerCase()))
    .toSorted((a, b) => Number(b.rotation !== undefined) - Number(a.rotation !== undefined))
    .slice(0, shownAtOnce);
  const rotating = services.filter(({ rotation }) => rotation !== undefined);
  return (
    <>
      <h1>
        {rotating.length === 0
          ? 'No key is being replaced'
          : `${counted(rotating.length, 'key is', 'keys are')} being replaced`}
      </h1>
      <p class="lede">
        As the sidecars have loaded them; the console never asks the key registry,{' '}
        <code>countersign keys status</code> does. A key is due after {rotationDays} days.
      </p>
      {silent.length > 0 && (
        <p class="notice warn">
          {counted(silent.length, 'sidecar')} did not say what it has loaded:{' '}
          <Wire text={silent.slice(0, 20).join(', ')} most={600} />
        </p>
      )}
      {services.length === 0 && (
        <Empty title="No sidecar has a key.">
          <code>countersign keys init</code> makes the first ones.
        </Empty>
      )}
      {services.length > shownAtOnce && (
        <div class="filters">
          <label class="grow">
            Service
            <input type="search" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} />
          </label>
          <span class="muted">
            {shown.length} of {counted(services.length, 'service')}; those whose key is being replaced come
            first
          </span>
        </div>
      )}
      <div class="grid">
        {shown.map((each) => (
          <Service key={each.service} keys={each} nowMs={Date.parse(taken_at)} />
        ))}
      </div>
    </>
  );
}

function Service({
  keys: { service, generations, rotation },
  nowMs,
}: {
  readonly keys: ServiceKeys;
  readonly nowMs: number;
}) {
  const id = `keys-${service}`;
  return (
    <section class="card" aria-labelledby={id}>
      <div class="head">
        <h2 id={id}>
          <Wire text={service} most={80} />
        </h2>
        {rotation !== undefined && <span class="tag warn">being replaced by {rotation.to}</span>}
      </div>
      {rotation !== undefined && <Steps steps={rotation.steps} />}
      <Timeline
        label={`Generations of ${service}`}
        fromMs={nowMs - rotationDays * dayMs}
        toMs={nowMs + dayMs}
        rows={generations.map(({ kid, state, first_seen, not_after }) => ({
          name: kid,
          spans: [
            {
              kind: state,
              fromMs: first_seen === undefined ? nowMs - dayMs : Date.parse(first_seen),
              toMs: not_after === undefined ? nowMs : Date.parse(not_after),
              title: `${kid}, ${state}`,
            },
          ],
        }))}
        ends={['90 d ago', 'now']}
      />
      <TableRegion label={`Who has the keys of ${service}`}>
        <table>
          <thead>
            <tr>
              <th scope="col">Key</th>
              <th scope="col">State</th>
              <th scope="col">Age</th>
              <th scope="col">Signed with by</th>
              <th scope="col">Accepted by</th>
            </tr>
          </thead>
          <tbody>
            {generations.map((each) => (
              <Row key={each.kid} generation={each} nowMs={nowMs} />
            ))}
          </tbody>
        </table>
      </TableRegion>
    </section>
  );
}

function Row({
  generation: { kid, state, first_seen, not_after, signed_with_by, accepted_by },
  nowMs,
}: {
  readonly generation: Generation;
  readonly nowMs: number;
}) {
  const age = first_seen === undefined ? undefined : (nowMs - Date.parse(first_seen)) / 1000;
  const isDue = state === 'active' && (age ?? 0) >= rotationDays * 86_400;
  return (
    <tr>
      <th scope="row" class="path">
        <Wire text={kid} most={80} />
      </th>
      <td>
        <span class={`tag ${state === 'active' ? 'good' : state === 'pending' ? 'warn' : ''}`}>{state}</span>
        {not_after !== undefined && <span class="host">until {timeText(not_after)}</span>}
      </td>
      <td>
        {ageText(age)}
        {isDue && <span class="tag bad">due</span>}
      </td>
      <td>
        <Places places={signed_with_by} />
      </td>
      <td>
        <Places places={accepted_by} />
      </td>
    </tr>
  );
}

function Places({ places }: { readonly places: readonly string[] }) {
  if (places.length === 0) return <span class="muted">–</span>;
  if (places.length <= 2)
    return (
      <span class="places">
        {places.map((place) => (
          <Wire key={place} text={place} most={120} />
        ))}
      </span>
    );
  return (
    <details>
      <summary>{counted(places.length, 'sidecar')}</summary>
      <span class="places">
        {places.map((place) => (
          <Wire key={place} text={place} most={120} />
        ))}
      </span>
    </details>
  );
}

const stepTexts: Readonly<Record<RotationStep['name'], string>> = {
  staged: 'Verifiers accept the new key',
  switched: 'Signers use the new key',
  retired: 'The old key ends by itself',
};

function Steps({ steps }: { readonly steps: readonly RotationStep[] }) {
  const running = steps.find(({ done, of }) => done < of);
  return (
    <ol class="steps">
      {steps.map((step) => {
        const isDone = step.done >= step.of && step.of > 0;
        return (
          <li
            key={step.name}
            class={isDone ? 'done' : step === running ? 'running' : ''}
            aria-current={step === running ? 'step' : undefined}
          >
            {stepTexts[step.name]}
            <span class="muted">
              {step.done} of {step.of}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
