// Makes a checkout ready: Node's version, Debian packages, the TUN device, npm packages, build; each only where missing.
// `npm test` and `npm run demo` call it first; alone: node scripts/setup.mjs
// Nothing is installed yet when this runs, so it uses Node's builtins only.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { npm, ownerRights, ROOT, runVisibly, SetupError } from './project.mjs';
import { runAsRoot } from './root.mjs';

// Debian packages of the lab, each with a program of it, for systems that have the program in some other way.
const PACKAGES = new Map([
  ['ejabberd', '/usr/sbin/ejabberdctl'],
  ['iproute2', 'ip'],
  ['iputils-ping', 'ping'],
  ['miniupnpd-nftables', '/usr/sbin/miniupnpd'],
  ['iperf3', 'iperf3'],
  ['nftables', 'nft'],
  ['openssl', 'openssl'],
  ['util-linux', 'setpriv'],
]);
const TUN = '/dev/net/tun';
const ROOT_PART = fileURLToPath(new URL('./setup-root.mjs', import.meta.url));

/**
 * @param {{ say: (text: string) => void, output?: number }} options `output` is the descriptor on which programs'
 *   standard output is shown (1 unless told)
 */
export async function setUp({ say, output = 1 }) {
  checkMachine();
  await prepareMachine(say);
  await installPackages(say, output);
  await build(say, output);
}

function checkMachine() {
  if (process.platform !== 'linux') throw new SetupError('Kith runs on Linux only.');
  const { engines } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const wanted = String(engines.node).replace(/^>=/, '');
  const [major = 0, minor = 0] = wanted.split('.').map(Number);
  const [ourMajor = 0, ourMinor = 0] = process.versions.node.split('.').map(Number);
  if (ourMajor < major || (ourMajor === major && ourMinor < minor)) {
    throw new SetupError(`Node ${process.versions.node} is too old: Kith needs ${wanted} or newer.`);
  }
}

/** @param {(text: string) => void} say */
async function prepareMachine(say) {
  const missing = missingPackages();
  const noTun = !fs.existsSync(TUN);
  if (missing.length === 0 && !noTun) return;
  const parts = [];
  if (missing.length > 0) parts.push(`apt-get install ${missing.join(' ')}`);
  if (noTun) parts.push(`making ${TUN}`);
  if (process.geteuid?.() === 0) say(`Set-up: ${parts.join('; ')}`);
  const command = [process.execPath, ROOT_PART, ...(noTun ? ['--tun'] : []), ...missing];
  const code = await runAsRoot(command, { what: parts.join('; '), say });
  if (code !== 0) throw new SetupError(`Set-up of the machine failed (${parts.join('; ')}); see above.`);
}

function missingPackages() {
  const names = [...PACKAGES.keys()];
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the placeholders are dpkg-query's
  const format = '${Package} ${db:Status-Status}\n';
  const query = spawnSync('dpkg-query', ['-W', '-f', format, ...names], {
    encoding: 'utf8',
  });
  if (query.error === undefined) {
    const installed = new Set(
      query.stdout
        .split('\n')
        .filter((line) => line.endsWith(' installed'))
        .map((line) => line.split(' ')[0]),
    );
    return names.filter((name) => !installed.has(name));
  }
  const lacking = [...PACKAGES].filter(([, program]) => !findProgram(program)).map(([name]) => name);
  if (lacking.length === 0) return [];
  throw new SetupError(`This is no Debian system. Please install what Debian calls: ${lacking.join(' ')}`);
}

/** @param {string} program */
function findProgram(program) {
  const directories = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return program.startsWith('/')
    ? fs.existsSync(program)
    : directories.some((directory) => fs.existsSync(path.join(directory, program)));
}

/**
 * @param {(text: string) => void} say
 * @param {number} output
 */
async function installPackages(say, output) {
  // npm writes this file at the end of an installation.
  const stamp = path.join(ROOT, 'node_modules', '.package-lock.json');
  const lock = path.join(ROOT, 'package-lock.json');
  if (fs.existsSync(stamp) && fs.statSync(stamp).mtimeMs >= fs.statSync(lock).mtimeMs) return;
  say('Set-up: npm ci');
  const [command, args] = npm(['ci', '--no-progress']);
  const code = await runVisibly(command, args, { ...ownerRights(), stdio: ['ignore', output, 2] });
  if (code !== 0) throw new SetupError('npm ci failed; see above.');
}

/**
 * @param {(text: string) => void} say
 * @param {number} output
 */
async function build(say, output) {
  say('Set-up: npm run build');
  const [command, args] = npm(['run', '--silent', 'build']);
  const code = await runVisibly(command, args, { ...ownerRights(), stdio: ['ignore', output, 2] });
  if (code !== 0) throw new SetupError('The build failed; see above.');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await setUp({ say: (text) => void process.stdout.write(`${text}\n`) });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
