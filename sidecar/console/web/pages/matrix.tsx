import type { PageProps } from '../app.tsx';
import { LivePage } from '../parts/page.tsx';

export function Matrix(props: PageProps) {
  return (
    <LivePage<object> path="/api/matrix" props={props}>
      {() => <h1>Matrix</h1>}
    </LivePage>
  );
}
