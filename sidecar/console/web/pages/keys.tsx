import type { PageProps } from '../app.tsx';
import { LivePage } from '../parts/page.tsx';

export function Keys(props: PageProps) {
  return (
    <LivePage<object> path="/api/keys" props={props}>
      {() => <h1>Keys</h1>}
    </LivePage>
  );
}
