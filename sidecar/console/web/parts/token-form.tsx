import { useState } from 'preact/hooks';
import { tokenIn } from '../session.ts';

/** What somebody sees who has no token, or one of an earlier run. */
export function TokenForm({ onToken }: { readonly onToken: (token: string) => void }) {
  const [text, setText] = useState('');
  const submit = (event: Event) => {
    event.preventDefault();
    const token = tokenIn(text);
    if (/^[\w-]+$/.test(token)) onToken(token);
  };
  return (
    <section class="gate">
      <h1>Open the link that was printed</h1>
      <p class="lede">
        <code>countersign console</code> printed a link with a token when it started. Each start makes a new
        one. Open that link, or paste it here.
      </p>
      <form onSubmit={submit}>
        <label>
          Link or token
          <input
            name="token"
            type="password"
            autocomplete="off"
            spellcheck={false}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="primary">
          Open
        </button>
      </form>
    </section>
  );
}
