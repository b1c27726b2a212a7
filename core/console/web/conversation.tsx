import { useEffect, useRef, useState } from 'preact/hooks';
import { Empty } from '../../../web/parts.tsx';
import { linkTo } from '../../../web/place.ts';
import { visible } from '../../../web/text.ts';
import { ask, type Message, type Model, makeSession, type Page, say, sessionPath } from './api.ts';
import { Composer } from './composer.tsx';
import { Said, Transcript } from './transcript.tsx';

type MessagePage = Page & { readonly messages: readonly Message[] };

/** The newest messages of a session that are read at once. */
const pageSize = 200;
/** A message that was found further back than so many pages is not looked for. */
const pagesBack = 20;

/** A turn that runs. */
interface Running {
  readonly session: string;
  readonly asked: string;
  readonly answer: string;
}

/** One session: its transcript, and what is said next. */
export function Conversation({
  session,
  at,
  models,
  onChange,
}: {
  /** Empty: the next message makes one. */
  readonly session: string;
  readonly at: string;
  readonly models: readonly Model[];
  readonly onChange: () => void;
}) {
  const [messages, setMessages] = useState<readonly Message[]>([]);
  const [earlier, setEarlier] = useState<string | null>(null);
  const [running, setRunning] = useState<Running>();
  const [status, setStatus] = useState('');
  const [problem, setProblem] = useState('');
  const shown = useRef(session);
  const hangUp = useRef<AbortController>(undefined);
  shown.current = session;

  const load = async (of: string) => {
    const page = await pageOf(of, null);
    let all = page.messages;
    let cursor = page.next_cursor;
    for (
      let i = 0;
      i < pagesBack && cursor !== null && Number(at || Infinity) < (all[0]?.position ?? 0);
      i++
    ) {
      const before = await pageOf(of, cursor);
      all = [...before.messages, ...all];
      cursor = before.next_cursor;
    }
    if (shown.current !== of) return;
    setMessages(all);
    setEarlier(cursor);
  };
  const failed = ({ message }: Error) => setProblem(message);

  useEffect(() => {
    setProblem('');
    setStatus('');
    if (session === '') {
      setMessages([]);
      setEarlier(null);
    } else if (session !== running?.session) {
      setMessages([]);
      load(session).catch(failed);
    }
    return () => {
      // Another session was chosen: the turn there goes on for a while, and is kept.
      if (shown.current !== session && session !== '') hangUp.current?.abort();
    };
  }, [session]);
  useEffect(() => document.getElementById(`message-${at}`)?.scrollIntoView(), [at, messages]);

  const send = async (text: string, model: string | undefined) => {
    setProblem('');
    setStatus('Answering…');
    const controller = new AbortController();
    hangUp.current = controller;
    let of = session;
    try {
      if (of === '') {
        of = await makeSession(text);
        shown.current = of;
      }
      const turn = (answer: string) => setRunning({ session: of, asked: text, answer });
      turn('');
      if (session === '') location.hash = linkTo('chat', { session: of });
      await say(of, model, text, turn, controller.signal);
      setStatus('Answered.');
    } catch (error) {
      setStatus('');
      if (!controller.signal.aborted) failed(error as Error);
    }
    if (of !== '' && shown.current === of) await load(of).catch(failed);
    setRunning(undefined);
    onChange();
  };
  const stop = async () => {
    if (running === undefined) return;
    const { stopped } = await ask<{ stopped: boolean }>(sessionPath(running.session, '/stop'), {
      method: 'POST',
    });
    // It runs on another core service, or has not begun: what is left is to hang up.
    if (!stopped) hangUp.current?.abort();
  };
  const readEarlier = async (cursor: string) => {
    const page = await pageOf(session, cursor);
    setMessages((after) => [...page.messages, ...after]);
    setEarlier(page.next_cursor);
  };

  const here = running?.session === session ? running : undefined;
  return (
    <>
      <h1>{session === '' ? 'New session' : 'Session'}</h1>
      {session !== '' && (
        <p class="lede path">
          <bdi>{visible(session, 128)}</bdi>
        </p>
      )}
      {earlier !== null && (
        <button type="button" class="more" onClick={() => readEarlier(earlier).catch(failed)}>
          Earlier messages
        </button>
      )}
      {messages.length === 0 && here === undefined && (
        <Empty title="Nothing was said yet.">What is said here is kept in a session.</Empty>
      )}
      <Transcript messages={messages} at={at} />
      {here !== undefined && (
        <div class="transcript">
          <div class="message user">
            <Said text={here.asked} />
          </div>
          <div class="message other running">
            <Said text={here.answer} />
          </div>
        </div>
      )}
      {problem !== '' && (
        <p class="notice bad" role="alert">
          {visible(problem)}
        </p>
      )}
      <p class="unseen" role="status">
        {status}
      </p>
      <Composer
        models={models}
        busy={running !== undefined}
        onSend={(text, model) => void send(text, model)}
        onStop={() => void stop().catch(failed)}
      />
    </>
  );
}

/** Some messages in the order in which they were said: the newest, or those before a cursor. */
async function pageOf(session: string, cursor: string | null): Promise<MessagePage> {
  const query = new URLSearchParams({ order: 'desc', limit: String(pageSize) });
  if (cursor !== null) query.set('cursor', cursor);
  const page = await ask<MessagePage>(sessionPath(session, `/messages?${query}`));
  return { ...page, messages: page.messages.toReversed() };
}
