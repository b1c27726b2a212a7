import { InvalidArgumentError } from 'commander';

/** Where one service of the local fleet listens; everything is on 127.0.0.1. */
export interface LocalService {
  readonly name: string;
  /** Its sidecar's listeners. */
  readonly outbound: number;
  readonly inbound: number;
  readonly admin: number;
  /** The service itself. */
  readonly app: number;
  /** Listeners of its sidecar that each lead to one callee: port to name. */
  readonly routes: ReadonlyMap<number, string>;
}

/** The services that the local fleet runs, in the order of their ports. */
export const localNames = ['main-backend', 'npu-worker', 'ai-stack'] as const;

/** The first port that the local fleet uses: main-backend's admin listener. */
export const defaultBasePort = 15_000;

/** Ports between one service and the next. */
const step = 100;

/**
 * The local fleet's ports: with the default base main-backend 15001/15006/15000 (outbound/inbound/admin),
 * npu-worker 15101/15106/15100, ai-stack 15201/15206/15200.
 */
export function layout(basePort: number = defaultBasePort): LocalService[] {
  return localNames.map((name, index) => {
    const base = basePort + step * index;
    const others = localNames.filter((other) => other !== name);
    return {
      name,
      outbound: base + 1,
      inbound: inboundPort(basePort, index),
      admin: base,
      app: appPort(basePort, index),
      routes: new Map(others.map((other, at) => [base + 2 + at, other])),
    };
  });
}

/** For the services of fleet.yaml that do not run here, too: their places stay empty. */
export function inboundPort(basePort: number, index: number): number {
  return basePort + step * index + 6;
}

export function appPort(basePort: number, index: number): number {
  return basePort + step * index + 8;
}

/** Where the console listens: 15080 with the default base. */
export function consolePort(basePort: number): number {
  return basePort + 80;
}

/** The value of `--base-port`. @throws {InvalidArgumentError} */
export function basePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1024 && port <= 64_000) return port;
  throw new InvalidArgumentError('Expected a port from 1024 to 64000.');
}
