import type { Choice } from './host.ts';

/** One thing that a swap does next. Each can be done again after a kill without harm. */
export type Step =
  /** systemctl with one verb. `stop` does not wait for the end, `end` kills. */
  | {
      readonly do: 'enable' | 'disable' | 'start' | 'stop' | 'end' | 'stop-together';
      readonly units: readonly string[];
    }
  /** Has the version's own executable check its configuration, before anything that serves is touched. */
  | { readonly do: 'check'; readonly version: string }
  /** Points `/opt/countersign/current` or `previous` to a version. */
  | { readonly do: 'link'; readonly link: 'current' | 'previous'; readonly version: string }
  /** Looks again a moment later. */
  | { readonly do: 'wait'; readonly until: string }
  /** The target can't serve: go back to what served before. */
  | { readonly do: 'give-up'; readonly why: string }
  | { readonly do: 'finish' };

/** What a swap remembers of its own doing between two looks at the host. */
export interface Progress {
  readonly checked: boolean;
  /** Units that this swap has started. */
  readonly started: readonly string[];
  /** How long the present `wait` has lasted, in milliseconds; 0 for another one. */
  waitedMs(until: string): number;
}

/** What a swap is after. `return` follows on a failure. */
export type Goal =
  | { readonly kind: 'serve'; readonly target: Choice }
  | { readonly kind: 'none' }
  | {
      readonly kind: 'return';
      readonly failed: Choice;
      readonly to: Choice | undefined;
      readonly why: string;
    };
