/**
 * A real control plane in the background, for trying things out.
 *
 * `npm run kube -- up --dir D` starts one and leaves it: `D/kubeconfig` is for kubectl. `npm run kube -- down --dir D` ends it.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { attachControlPlane, startControlPlane } from '../test/kube/control-plane/control-plane.ts';

const usage = 'Usage: npm run kube -- up|down --dir DIRECTORY';

async function up(directory: string): Promise<string> {
  const found = attachControlPlane(directory);
  if (found) {
    const { etcd, apiServer } = found.components;
    if (etcd.pid !== undefined && apiServer.pid !== undefined) {
      return `Kubernetes ${found.version} already runs: export KUBECONFIG=${found.kubeconfigPath}`;
    }
    await found[Symbol.asyncDispose]();
  }
  const startMs = performance.now();
  const { version, kubeconfigPath } = await startControlPlane({ directory, inBackground: true });
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  return `Kubernetes ${version} runs after ${seconds} s: export KUBECONFIG=${kubeconfigPath}`;
}

async function down(directory: string): Promise<string> {
  const found = attachControlPlane(directory);
  if (!found) return `There is none in ${directory}.`;
  await found[Symbol.asyncDispose]();
  return `Ended Kubernetes ${found.version} in ${directory}.`;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { dir: { type: 'string' } } });
  const command = { up, down }[positionals[0] ?? ''];
  if (!command || values.dir === undefined || positionals.length !== 1) {
    console.error(usage);
    return 2;
  }
  console.log(await command(resolve(values.dir)));
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
