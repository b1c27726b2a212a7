import { useState } from 'preact/hooks';
import { visible } from '../../../web/text.ts';
import type { Model } from './api.ts';

/** What is said next, and to which model. Enter sends, Shift and Enter begin a new line. */
export function Composer({
  models,
  busy,
  onSend,
  onStop,
}: {
  readonly models: readonly Model[];
  readonly busy: boolean;
  readonly onSend: (text: string, model: string | undefined) => void;
  readonly onStop: () => void;
}) {
  const [text, setText] = useState('');
  const [model, setModel] = useState('');
  const send = () => {
    if (busy || text.trim() === '') return;
    onSend(text, model === '' ? undefined : model);
    setText('');
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <label>
        Message
        <textarea
          rows={3}
          value={text}
          onInput={({ currentTarget }) => setText(currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            send();
          }}
        />
      </label>
      <div class="row">
        <label>
          Model
          <select value={model} onChange={({ currentTarget }) => setModel(currentTarget.value)}>
            <option value="">default</option>
            {models.map(({ id, served }) => (
              <option key={id} value={id}>
                {visible(id, 100)}
                {served === false ? ' (not served)' : ''}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" class="primary" disabled={busy}>
          Send
        </button>
        <button type="button" disabled={!busy} onClick={onStop}>
          Stop
        </button>
      </div>
    </form>
  );
}
