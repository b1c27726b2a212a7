/** What every page gets. */
export interface PageProps {
  readonly token: string;
  readonly query: URLSearchParams;
  /** The token was refused: it is of an earlier run of the console. */
  readonly onRefused: () => void;
}
