/** The state directory can't be used; the sidecar must not verify without it. */
export class StateError extends Error {
  readonly code = 'state-unusable';
}
