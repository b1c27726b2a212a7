import { Option } from 'commander';

export function authorizationOption(): Option {
  return new Option('--authorization <file>', 'the matrix').default('config/authorization.yaml');
}

export function fleetOption(): Option {
  return new Option(
    '--fleet <file>',
    'who is where (default: fleet.yaml beside the matrix, if there is one)',
  );
}
