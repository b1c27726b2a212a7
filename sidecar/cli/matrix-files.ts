import { Option } from 'commander';

export function authorizationOption(): Option {
  return new Option('--authorization <file>', 'the matrix').default('config/authorization.yaml');
}

export function fleetOption(): Option {
  return new Option(
    '--fleet <file>',
    'services and hosts (default: fleet.yaml beside the matrix, if present)',
  );
}
