import type { FunctionComponent } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Brand, Main, SkipButton } from '../../../web/parts.tsx';
import { type Place, usePlace } from '../../../web/place.ts';
import type { PageProps } from './page-props.ts';
import { Denials } from './pages/denials.tsx';
import { Fleet } from './pages/fleet.tsx';
import { Graph } from './pages/graph.tsx';
import { Keys } from './pages/keys.tsx';
import { Matrix } from './pages/matrix.tsx';
import { Readiness } from './pages/readiness.tsx';
import { Rollout } from './pages/rollout.tsx';
import { TokenForm } from './parts/token-form.tsx';
import { forgetToken, keepToken, takeToken } from './session.ts';

const pages: Readonly<
  Record<string, { readonly title: string; readonly view: FunctionComponent<PageProps> }>
> = {
  fleet: { title: 'Fleet', view: Fleet },
  graph: { title: 'Graph', view: Graph },
  matrix: { title: 'Matrix', view: Matrix },
  denials: { title: 'Denials', view: Denials },
  readiness: { title: 'Readiness', view: Readiness },
  keys: { title: 'Keys', view: Keys },
  rollout: { title: 'Rollout', view: Rollout },
};

export function App() {
  const [token, setToken] = useState(takeToken);
  const place = usePlace('fleet');
  const known = pages[place.page] ?? pages.fleet;
  useEffect(() => {
    document.title = `${known?.title} · Countersign`;
  }, [known]);
  // A link that is opened in a tab that is open already changes the fragment alone.
  useEffect(() => {
    const found = takeToken();
    if (found !== undefined && found !== token) setToken(found);
  });
  const onRefused = () => {
    forgetToken();
    setToken(undefined);
  };
  const onToken = (text: string) => {
    keepToken(text);
    setToken(text);
  };
  return (
    <div class="frame">
      <SkipButton />
      <Navigation place={place} />
      <Main title={known?.title ?? ''}>
        {token === undefined ? (
          <TokenForm onToken={onToken} />
        ) : (
          known && <known.view key={place.page} token={token} query={place.query} onRefused={onRefused} />
        )}
      </Main>
    </div>
  );
}

function Navigation({ place }: { readonly place: Place }) {
  return (
    <header class="rail">
      <Brand href="#/fleet" />
      <nav aria-label="Pages">
        <ul>
          {Object.entries(pages).map(([name, { title }]) => (
            <li key={name}>
              <a href={`#/${name}`} aria-current={place.page === name ? 'page' : undefined}>
                {title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
    </header>
  );
}
