import { Empty, TableRegion, Wire } from '../../../../web/parts.tsx';
import { counted } from '../../../../web/text.ts';
import { ageText, durationText, rateText, shareText } from '../../../fleet-view/quantities.ts';
import type { EdgeRoutes } from '../../route-list.ts';

/** The rules of one edge with their use, and what no rule allows. */
export function RouteTable({ found: { routes, denied } }: { readonly found: EdgeRoutes }) {
  return (
    <>
      {routes.length === 0 ? (
        <Empty title="No rule permits it." />
      ) : (
        <TableRegion label="Rules">
          <table>
            <thead>
              <tr>
                <th scope="col">Rule</th>
                <th scope="col" class="number">
                  Calls/s
                </th>
                <th scope="col" class="number">
                  Success
                </th>
                <th scope="col" class="number">
                  p99
                </th>
                <th scope="col">Last used</th>
              </tr>
            </thead>
            <tbody>
              {routes.map(({ rule, place, traffic, last_used, never_used, calls }) => (
                <tr key={rule}>
                  <th scope="row" class="path">
                    <Wire text={rule} most={200} />
                    {place !== undefined && <span class="host">{place}</span>}
                  </th>
                  <td class="number">{rateText(traffic.per_second)}</td>
                  <td class="number">{shareText(traffic.success_rate)}</td>
                  <td class="number">{durationText(traffic.p99_seconds)}</td>
                  <td>
                    {never_used ? (
                      <span class="tag">never</span>
                    ) : last_used === undefined ? (
                      '–'
                    ) : (
                      agoText(last_used)
                    )}
                    {calls > 0 && <span class="host">{counted(calls, 'call')}</span>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableRegion>
      )}
      {denied.length > 0 && (
        <>
          <h3>Denied</h3>
          <TableRegion label="Denied calls">
            <table>
              <thead>
                <tr>
                  <th scope="col">Call</th>
                  <th scope="col">Reason</th>
                  <th scope="col" class="number">
                    Times
                  </th>
                  <th scope="col">Last</th>
                </tr>
              </thead>
              <tbody>
                {denied.map(({ method, path, reason, count, last }) => (
                  <tr key={`${method} ${path} ${reason}`}>
                    <th scope="row" class="path">
                      <Wire text={`${method} ${path}`} most={200} />
                    </th>
                    <td>
                      <span class="tag bad">{reason}</span>
                    </td>
                    <td class="number">{count.toLocaleString('en-US')}</td>
                    <td>{agoText(last)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </TableRegion>
        </>
      )}
    </>
  );
}

function agoText(time: string): string {
  return `${ageText((Date.now() - Date.parse(time)) / 1000)} ago`;
}
