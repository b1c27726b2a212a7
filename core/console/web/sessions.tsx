import { useEffect, useState } from 'preact/hooks';
import { Brand, Wire } from '../../../web/parts.tsx';
import { linkTo } from '../../../web/place.ts';
import { counted, timeText, visible } from '../../../web/text.ts';
import { ask, type Found, type Page, type Session } from './api.ts';

type SessionPage = Page & { readonly chats: readonly Session[] };
type FoundPage = Page & { readonly messages: readonly Found[] };

/** The caller's sessions, the most lately used first, and the search through their messages. */
export function Sessions({ chosen, changes }: { readonly chosen: string; readonly changes: number }) {
  const [list, setList] = useState<SessionPage>();
  const [found, setFound] = useState<FoundPage>();
  const [words, setWords] = useState('');
  const [problem, setProblem] = useState('');
  const run = (work: Promise<unknown>) =>
    void work.then(
      () => setProblem(''),
      ({ message }: Error) => setProblem(message),
    );
  useEffect(() => run(ask<SessionPage>('/api/chats').then(setList)), [changes]);

  const more = async (cursor: string) => {
    const next = await ask<SessionPage>(`/api/chats?${new URLSearchParams({ cursor })}`);
    setList((before) => ({ ...next, chats: [...(before?.chats ?? []), ...next.chats] }));
  };
  const search = async (cursor?: string) => {
    const query = new URLSearchParams({ q: words, ...(cursor !== undefined && { cursor }) });
    const next = await ask<FoundPage>(`/api/chats/search?${query}`);
    const before = cursor === undefined ? [] : (found?.messages ?? []);
    setFound({ ...next, messages: [...before, ...next.messages] });
  };
  const onSubmit = (event: Event) => {
    event.preventDefault();
    if (words.trim() === '') setFound(undefined);
    else run(search());
  };

  return (
    <header class="rail">
      <Brand href="#/chat" />
      <a class="new" href="#/chat">
        New session
      </a>
      <search>
        <form onSubmit={onSubmit}>
          <label>
            Search all messages
            <input
              type="search"
              value={words}
              maxLength={500}
              onInput={({ currentTarget: { value } }) => {
                setWords(value);
                if (value === '') setFound(undefined);
              }}
            />
          </label>
          <button type="submit">Search</button>
        </form>
      </search>
      {problem !== '' && (
        <p class="notice bad" role="alert">
          {visible(problem)}
        </p>
      )}
      <nav aria-label={found === undefined ? 'Sessions' : 'Found messages'}>
        {found === undefined ? (
          <SessionList list={list} chosen={chosen} onMore={(cursor) => run(more(cursor))} />
        ) : (
          <FoundList found={found} onMore={(cursor) => run(search(cursor))} />
        )}
      </nav>
    </header>
  );
}

interface ListProps {
  readonly onMore: (cursor: string) => void;
}

function SessionList({
  list,
  chosen,
  onMore,
}: ListProps & { readonly list: SessionPage | undefined; readonly chosen: string }) {
  if (list === undefined) return <p class="muted">Reading…</p>;
  return (
    <>
      {list.chats.length === 0 && <p class="muted">There are no sessions yet.</p>}
      <ul>
        {list.chats.map(({ id, title, updated_at, message_count }) => (
          <li key={id}>
            <a href={linkTo('chat', { session: id })} aria-current={id === chosen ? 'page' : undefined}>
              <Wire text={title ?? id} most={80} />
              <small>
                {counted(message_count, 'message')}, {timeText(updated_at)}
              </small>
            </a>
          </li>
        ))}
      </ul>
      <More cursor={list.next_cursor} onMore={onMore} />
    </>
  );
}

function FoundList({ found, onMore }: ListProps & { readonly found: FoundPage }) {
  return (
    <>
      <p class="muted" role="status">
        {found.messages.length === 0
          ? 'Nothing found.'
          : `${counted(found.messages.length, 'message')}${found.next_cursor === null ? '' : ', and more'}`}
      </p>
      <ul>
        {found.messages.map(({ session_id, position, title, role, excerpt }) => (
          <li key={`${session_id} ${position}`}>
            <a href={linkTo('chat', { session: session_id, at: String(position) })}>
              <Wire text={title ?? session_id} most={80} />
              <small>
                {visible(role, 20)}: <Wire text={excerpt} most={300} />
              </small>
            </a>
          </li>
        ))}
      </ul>
      <More cursor={found.next_cursor} onMore={onMore} />
    </>
  );
}

function More({ cursor, onMore }: ListProps & { readonly cursor: string | null }) {
  if (cursor === null) return null;
  return (
    <button type="button" onClick={() => onMore(cursor)}>
      More
    </button>
  );
}
