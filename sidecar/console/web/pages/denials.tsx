import type { PageProps } from '../app.tsx';
import { LivePage } from '../parts/page.tsx';

export function Denials(props: PageProps) {
  return (
    <LivePage<object> path="/api/denials" props={props}>
      {() => <h1>Denials</h1>}
    </LivePage>
  );
}
