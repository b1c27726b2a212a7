// Prepares a checkout and then runs one of its programs: `node setup.mjs [--with tests] SCRIPT.ts ARGUMENTS`.
// The one file that runs under whatever Node the machine has (20 or newer) and before `npm ci`: plain JavaScript,
// without dependencies.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const node = `${root}node_modules/.bin/node`;

/** Debian packages, each with a file that shows it is there. */
const packages = {
  up: { 'redis-server': 'redis-server', libatomic1: 'libatomic.so.1' },
  tests: {
    'ansible-core': 'ansible-playbook',
    chromium: 'chromium',
    curl: 'curl',
    faketime: 'faketime',
    'golang-go': 'go',
    'groff-base': 'groff',
    openssl: 'openssl',
    procps: 'pgrep',
    python3: 'python3',
    'python3-aiohttp': '/usr/lib/python3/dist-packages/aiohttp',
    'python3-h11': '/usr/lib/python3/dist-packages/h11',
    postgresql: 'pg_lsclusters',
    prometheus: 'promtool',
  },
};

/** How long the registry may take to answer. */
const registryMs = 8_000;
/** What npm's packages (0.9 GB) and the executables (0.5 GB) take. */
const neededMb = 1_500;

const [, , ...words] = process.argv;
const withTests = words[0] === '--with' && words[1] === 'tests';
if (withTests) words.splice(0, 2);
const [script, ...scriptArguments] = words;

installPackages({ ...packages.up, ...(withTests ? packages.tests : {}) });
await installModules();
if (withTests) buildTap();
runScript();

function installPackages(wanted) {
  const missing = Object.keys(wanted).filter((name) => !isInstalled(wanted[name]));
  if (missing.length === 0) return;
  const byHand = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid?.() !== 0 || !isCommand('apt-get')) {
    fail(`found no ${missing.join(', ')} on this machine, expected them installed: run (as root)  ${byHand}`);
  }
  say(`installing ${missing.join(', ')} with apt`);
  const quietly = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  // Debian starts a server as soon as its package lands. Nothing here uses those: the fleet runs its own.
  const policy = '/usr/sbin/policy-rc.d';
  const quiet = !existsSync(policy);
  if (quiet) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const install = ['install', '-y', '--no-install-recommends', ...missing];
    if (spawnSync('apt-get', install, { env: quietly, stdio: 'pipe' }).status === 0) return;
    spawnSync('apt-get', ['update'], { env: quietly, stdio: 'pipe' });
    const again = spawnSync('apt-get', install, { env: quietly, encoding: 'utf8' });
    if (again.status !== 0) {
      fail(
        `apt-get could not install ${missing.join(', ')}: ${lastLine(again.stderr)}. Run it by hand:  ${byHand}`,
      );
    }
  } finally {
    if (quiet) spawnSync('rm', ['-f', policy]);
  }
}

function isInstalled(file) {
  if (file.startsWith('/')) return existsSync(file);
  if (!file.includes('.so')) return isCommand(file);
  const folders = ['/lib', '/usr/lib', '/lib64', '/usr/lib64'];
  const triplet = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }[process.arch];
  return folders.some(
    (folder) => existsSync(`${folder}/${file}`) || existsSync(`${folder}/${triplet}/${file}`),
  );
}

function isCommand(name) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(`${folder}/${name}`));
}

/** `npm ci`, when node_modules is missing or was made from another package-lock.json. */
async function installModules() {
  const lock = hashOf(`${root}package-lock.json`);
  const stamp = `${root}node_modules/.countersign-lock`;
  const matches = existsSync(stamp) && readFileSync(stamp, 'utf8') === lock;
  if (!matches && !sameTree()) {
    const room = statfsSync(root);
    const freeMb = Math.floor((room.bavail * room.bsize) / 1e6);
    if (freeMb < neededMb)
      fail(
        `found ${freeMb} MB free in ${root}, expected ${neededMb} MB: npm packages and executables take so much`,
      );
    const isReachable = await registryAnswers();
    if (!isReachable) say('the npm registry does not answer: trying what npm has in its cache');
    const words = [
      'ci',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      ...(isReachable ? [] : ['--offline']),
    ];
    const npm = await withProgress('installing npm packages (npm ci), about 0.9 GB on disk', words);
    if (npm.status !== 0)
      fail(
        `npm ci failed:\n${npmErrors(npm)}\n${
          isReachable
            ? 'Run it again; npm goes on with what it has.'
            : 'The npm registry cannot be reached: look at the network, at HTTPS_PROXY, and at `npm config get registry`.'
        }`,
      );
  }
  if (!matches) writeFileSync(stamp, lock);
  if (existsSync(node)) return;
  fail(
    `found no Node 26 for ${process.platform}-${process.arch} among the npm packages, expected linux-x64 or ` +
      'linux-arm64: Countersign is developed and runs on those two',
  );
}

/** Asks as npm itself would, with its registry and proxies. Whatever answers is there, be it with an error of its own. */
async function registryAnswers() {
  const ping = spawn('npm', ['ping', '--fetch-retries=0', `--fetch-timeout=${registryMs}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  ping.stderr.on('data', (text) => {
    said += text;
  });
  const late = setTimeout(() => ping.kill('SIGKILL'), registryMs);
  const status = await new Promise((resolve) => {
    ping.on('error', () => resolve(1));
    ping.on('close', resolve);
  });
  clearTimeout(late);
  return status === 0 || /\bE[45]\d\d\b/.test(said);
}

/** Runs npm; on a terminal a line tells how far it is, elsewhere only that it began. */
function withProgress(title, words) {
  say(title);
  const wanted =
    Object.keys(JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')).packages).length - 1;
  const startedAt = Date.now();
  const show = () => {
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    process.stderr.write(
      `\r\x1b[Ksetup: ${Math.min(installedPackages(), wanted)} of up to ${wanted} packages, ${seconds} s`,
    );
  };
  const timer = process.stderr.isTTY ? setInterval(show, 500) : undefined;
  const npm = spawn('npm', words, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  npm.stderr.on('data', (text) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    const end = (status) => {
      clearInterval(timer);
      if (timer !== undefined) process.stderr.write('\r\x1b[K');
      resolve({ status, stderr });
    };
    npm.on('error', (error) => {
      stderr += `npm error ${error.message}`;
      end(1);
    });
    npm.on('close', end);
  });
}

/** Folders of packages that npm has unpacked so far, those inside others left out. */
function installedPackages() {
  const list = (folder) => {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  };
  const names = list(`${root}node_modules`).filter((name) => !name.startsWith('.'));
  return names.flatMap((name) => (name.startsWith('@') ? list(`${root}node_modules/${name}`) : [name]))
    .length;
}

function npmErrors({ stderr }) {
  const lines = stderr.split('\n').filter((line) => /^npm (error|ERR!) ./.test(line));
  return lines.slice(0, 5).join('\n');
}

/** Whether somebody's own `npm ci` already installed what package-lock.json asks for. */
function sameTree() {
  const installed = `${root}node_modules/.package-lock.json`;
  if (!existsSync(installed)) return false;
  const have = JSON.parse(readFileSync(installed, 'utf8')).packages;
  const want = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')).packages;
  return Object.entries(want).every(([path, { version, optional, link }]) => {
    return path === '' || link || (have[path] === undefined ? optional : have[path].version === version);
  });
}

/** tap's own plugin set (.taprc), which it compiles once. */
function buildTap() {
  // In node_modules, where tap puts what it builds, and gone with it.
  const stamp = `${root}node_modules/.countersign-tap`;
  const wanted = hashOf(`${root}package-lock.json`) + hashOf(`${root}.taprc`);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('preparing the test runner (tap build)');
  const tap = spawnSync(node, [`${root}node_modules/.bin/tap`, 'build'], {
    cwd: root,
    env: environment(),
    encoding: 'utf8',
  });
  if (tap.status !== 0) fail(`tap build failed: ${lastLine(tap.stderr + tap.stdout)}`);
  writeFileSync(stamp, wanted);
}

function runScript() {
  if (script === undefined) return;
  const child = spawn(node, [script, ...scriptArguments], {
    cwd: root,
    env: environment(),
    stdio: 'inherit',
  });
  // On a terminal Ctrl-C reaches the child as well; here it only must not end this process first.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  // npm itself killed outright: nobody is left to stop what was started.
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && child.kill('SIGTERM'), 500).unref();
  child.on('error', (error) => fail(error.message));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/** With the project's Node first in PATH: a shell in between would otherwise find the machine's. */
function environment() {
  return { ...process.env, PATH: `${root}node_modules/.bin:${process.env.PATH}` };
}

function hashOf(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

function lastLine(text) {
  return (text ?? '').trim().split('\n').at(-1) ?? '';
}

function say(text) {
  console.error(`setup: ${text}`);
}

function fail(text) {
  console.error(`setup: ${text}`);
  process.exit(69);
}
