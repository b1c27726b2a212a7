import type { PageProps } from '../app.tsx';
import { LivePage } from '../parts/page.tsx';

export function Rollout(props: PageProps) {
  return (
    <LivePage<object> path="/api/rollout" props={props}>
      {() => <h1>Rollout</h1>}
    </LivePage>
  );
}
