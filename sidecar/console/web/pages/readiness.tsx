import type { PageProps } from '../app.tsx';
import { LivePage } from '../parts/page.tsx';

export function Readiness(props: PageProps) {
  return (
    <LivePage<object> path="/api/readiness" props={props}>
      {() => <h1>Readiness</h1>}
    </LivePage>
  );
}
