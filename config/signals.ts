/**
 * Signals that end or stop a process unless it handles them, and that Node lets it handle. The ones that a processor
 * fault raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL) and SIGABRT stay: a crash must end the process.
 */
const ignored = [
  'SIGUSR1',
  'SIGUSR2',
  'SIGQUIT',
  'SIGALRM',
  'SIGVTALRM',
  'SIGPROF',
  'SIGPIPE',
  'SIGIO',
  'SIGPWR',
  'SIGSTKFLT',
  'SIGTRAP',
  'SIGSYS',
  'SIGXCPU',
  'SIGXFSZ',
  'SIGTSTP',
  'SIGTTIN',
  'SIGTTOU',
] as const satisfies readonly NodeJS.Signals[];

/**
 * Makes every signal do nothing but SIGTERM and SIGINT, which end a program in its own time, and SIGHUP, to which a program
 * that reloads adds a listener of its own; for programs that keep running. The executables are built
 * with `--disable-sigusr1`, so that SIGUSR1 opens no inspector before this is called, either.
 */
export function ignoreOtherSignals(): void {
  for (const signal of ignored) process.on(signal, () => {});
  process.on('SIGHUP', () => {});
}
