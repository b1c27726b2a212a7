/** A fault that changes nothing that anybody can see, so that no test can notice it. */
export interface Equivalent {
  readonly file: string;
  /** The line with the fault in it, without the blanks around. */
  readonly line: string;
  readonly why: string;
}

/** Read by people: each entry needs a reason that holds. A test refuses entries whose file has changed so that they fit nothing. */
export const equivalents: readonly Equivalent[] = [];
