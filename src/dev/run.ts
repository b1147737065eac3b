import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { LockkeeperError } from '../api/codes.ts';
import type { KubeObject } from '../kube/kube-object.ts';
import { systemClock } from '../system/clock.ts';
import type { Environment } from '../system/environment.ts';
import { exitNow, exitWhenIdle } from '../system/exit.ts';
import { createLog } from '../system/logger.ts';
import { systemRandom } from '../system/random.ts';
import { onStop } from '../system/signals.ts';
import { systemTimers } from '../system/timers.ts';
import { bannerOf } from './banner.ts';
import { type DevConfig, parseCommand, USAGE } from './config.ts';
import { DataDirectoryError } from './data-directory-error.ts';
import { startDevServer } from './dev-server.ts';
import { readManifests } from './manifests.ts';

const EXIT_USAGE = 2;
const EXIT_FAILED = 1;
const EXIT_BROKEN = 70;

/** Runs `npm start` until it is asked to stop. Prints for a person; never throws. */
export async function run(environment: Environment): Promise<void> {
  const command = parseCommand(environment);
  if (command.run === 'help') {
    console.log(USAGE);
    return;
  }
  if (command.run === 'refuse') {
    refuse(command.problems, USAGE);
    return;
  }
  const { config } = command;
  const declared = declaredIn(config);
  if (declared !== undefined) await serve(config, declared);
}

/** The objects of `--apply`; `undefined` if there are problems, which are printed. */
function declaredIn({ apply }: DevConfig): readonly KubeObject[] | undefined {
  if (apply === undefined) return [];
  let text: string;
  try {
    text = readFileSync(apply, 'utf8');
  } catch (error) {
    refuse([`--apply: cannot read ${apply}: ${error instanceof Error ? error.message : String(error)}`]);
    return undefined;
  }
  const { objects, problems } = readManifests(text);
  if (problems.length === 0) return objects;
  refuse(problems.map((problem) => `--apply: ${apply}: ${problem}`));
  return undefined;
}

async function serve(config: DevConfig, declared: readonly KubeObject[]): Promise<void> {
  const log = createLog({ level: config.log });
  const onFatal = (error: unknown) => {
    log.error({ error }, 'this process cannot go on');
    console.error(
      'Lockkeeper: something that must never happen has happened; stopping at once. The log has the cause.',
      error,
    );
    exitNow(EXIT_BROKEN);
  };
  const kubeconfigPath = resolve(config['write-kubeconfig'] ?? join(config.data ?? '.lockkeeper', 'kubeconfig'));
  try {
    const server = await startDevServer({
      port: config.port,
      socketPath: config.socket,
      dataDirectory: config.data,
      kubePort: config['kube-port'],
      kubeconfigPath,
      declared,
      version: versionOfPackage(),
      clock: systemClock(),
      timers: systemTimers({ keepAlive: true }),
      random: systemRandom(),
      log,
      onFatal,
    });
    onStop((signal) => {
      console.log(`\n${signal}: stopping; again to stop at once.`);
      server[Symbol.asyncDispose]().then(
        () => exitNow(0),
        (error: unknown) => {
          console.error('Lockkeeper did not stop cleanly:', error);
          exitNow(EXIT_FAILED);
        },
      );
    });
    const { addresses, port } = server.endpoint;
    console.log(bannerOf({ addresses, dataFile: server.dataFile, port: port ?? config.port, kubeconfigPath }));
  } catch (error) {
    const isForPeople = error instanceof LockkeeperError || error instanceof DataDirectoryError;
    console.error(`Lockkeeper did not start: ${isForPeople ? error.message : ''}`, isForPeople ? '' : error);
    exitWhenIdle(EXIT_FAILED);
  }
}

function refuse(problems: readonly string[], advice?: string): void {
  for (const problem of problems) console.error(`Lockkeeper did not start: ${problem}`);
  if (advice !== undefined) console.error(`\n${advice}`);
  exitWhenIdle(EXIT_USAGE);
}

function versionOfPackage(): string {
  const manifest = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
