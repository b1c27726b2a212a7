import type { PageProps } from '../app.tsx';
import { LivePage } from '../parts/page.tsx';

export function Graph(props: PageProps) {
  return (
    <LivePage<object> path="/api/graph" props={props}>
      {() => <h1>Graph</h1>}
    </LivePage>
  );
}
