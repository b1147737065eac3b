/** Building a program from published Go modules. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Pin } from './programs.ts';

/** The Go command of this machine, if there is one. */
export function findGo(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/go/bin', '/usr/lib/go/bin'];
  return folders.map((folder) => join(folder, 'go')).find((program) => existsSync(program));
}

/**
 * Writes the program to `target`. Everything Go says goes to `logPath`.
 *
 * @throws Error with the end of the log if it cannot be built, for example because no module can be downloaded.
 */
export async function goBuild(
  go: string,
  { module, package: goPackage, version }: Pin,
  target: string,
  logPath: string,
) {
  const [major = '', minor = ''] = version.slice(1).split('.');
  const values = { gitVersion: version, gitMajor: major, gitMinor: minor };
  // Kubernetes learns its own version from the linker; other programs ignore this.
  const setters = Object.entries(values).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  const log = openSync(logPath, 'w');
  const words = ['build', '-trimpath', '-buildvcs=false', '-ldflags', ['-s', '-w', ...setters].join(' ')];
  // At low priority: tests of other parts may run beside it.
  const child = spawn('nice', ['-n', '10', go, ...words, '-o', target, goPackage], {
    cwd: module,
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const code = await new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('close', resolve);
  });
  if (code === 0) return;
  const end = readFileSync(logPath, 'utf8').trimEnd().split('\n').slice(-10).join('\n');
  throw new Error(`${go} could not build ${goPackage}. The end of ${logPath}:\n${end}`);
}
