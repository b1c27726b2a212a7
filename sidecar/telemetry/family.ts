export interface Sample {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** A call to look at, in the form of prom-client; time in seconds since the epoch. */
  readonly exemplar?: {
    readonly labelSet: Readonly<Record<string, string>>;
    readonly value: number;
    readonly timestamp: number;
  };
}

/** One metric with all its values, made when somebody scrapes. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly values: readonly Sample[];
}

/** A metric that can go up and down. */
export function gauge(name: string, help: string, values: readonly Sample[]): Family {
  return { name, help, type: 'gauge', values };
}
