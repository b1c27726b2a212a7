import { useEffect, useState } from 'preact/hooks';
import { Main, SkipButton } from '../../../web/parts.tsx';
import { usePlace } from '../../../web/place.ts';
import { ask, type Model } from './api.ts';
import { Conversation } from './conversation.tsx';
import { Sessions } from './sessions.tsx';

/** The sessions of the caller on one side, one of them on the other. */
export function App() {
  const { query } = usePlace('chat');
  const session = query.get('session') ?? '';
  const [models, setModels] = useState<readonly Model[]>([]);
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    // Without the list there is the default.
    ask<{ data: readonly Model[] }>('/v1/models').then(
      ({ data }) => setModels(data),
      () => {},
    );
  }, []);
  return (
    <div class="frame chat">
      <SkipButton />
      <Sessions chosen={session} changes={changes} />
      <Main title="Chat">
        <Conversation
          session={session}
          at={query.get('at') ?? ''}
          models={models}
          onChange={() => setChanges((count) => count + 1)}
        />
      </Main>
    </div>
  );
}
