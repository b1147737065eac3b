import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { accessFromKubeconfig } from '../control-plane/http.ts';
import { waitFor } from '../control-plane/wait.ts';
import { sharedControlPlane } from '../support.ts';
import type { ContractCase } from './contract-case.ts';
import { openEmbedded } from './embedded-side.ts';
import { Side } from './side.ts';
import { type Transcript, play } from './transcript.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
export const DEFINITIONS_FOLDER = fileURLToPath(new URL('../../../crds', import.meta.url));

/** Both APIs, with our kinds defined on the real one. */
export interface Sides extends AsyncDisposable {
  readonly real: Side;
  readonly embedded: Side;
  /** Plays a case on both at once, each in a namespace of the same new name. */
  readonly play: (each: ContractCase) => Promise<{ readonly real: Transcript; readonly embedded: Transcript }>;
}

export async function openSides(): Promise<Sides> {
  const { kubeconfigPath } = sharedControlPlane();
  const real = new Side(kubeconfigPath, accessFromKubeconfig(kubeconfigPath));
  const { side: embedded, ...embeddedApi } = await openEmbedded();
  await define(real);
  const run = `contract-${process.pid}-${Date.now().toString(36)}`;
  let namespaces = 0;
  const playBoth = async (each: ContractCase) => {
    namespaces += 1;
    const namespace = `${run}-${namespaces}`;
    const [onReal, onEmbedded] = await Promise.all(
      [real, embedded].map(async (side) => {
        const body = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
        await side.connection.send({ method: 'POST', path: '/api/v1/namespaces', headers: JSON_TYPE, body });
        return play(side, each, namespace);
      }),
    );
    return { real: onReal as Transcript, embedded: onEmbedded as Transcript };
  };
  const close = async () => {
    real[Symbol.dispose]();
    await embeddedApi[Symbol.asyncDispose]();
  };
  return { real, embedded, play: playBoth, [Symbol.asyncDispose]: close };
}

/** Our definitions, unless they are there; resolves once their kinds are found by `kubectl` and can be listed. */
async function define({ connection }: Side): Promise<void> {
  for (const file of readdirSync(DEFINITIONS_FOLDER)) {
    const definition: unknown = parse(readFileSync(`${DEFINITIONS_FOLDER}/${file}`, 'utf8'), { version: '1.1' });
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
    const body = JSON.stringify(definition);
    const { code } = await connection.send({ method: 'POST', path, headers: JSON_TYPE, body });
    if (code !== 201 && code !== 409) throw new Error(`The definition ${file} was refused with ${code}.`);
  }
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  const isServed = async (plural: string) => {
    const found = await connection.send({ method: 'GET', path: '/apis', headers: { accept } });
    const listed = await connection.send({ method: 'GET', path: `/apis/lockkeeper.dev/v1alpha1/${plural}` });
    return JSON.stringify(found.body).includes(`"resource":"${plural}"`) && listed.code === 200;
  };
  for (const plural of ['distributedlocks', 'lockpools'])
    await waitFor(() => isServed(plural), { what: `${plural} at the API server` });
}
