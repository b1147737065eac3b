import { waitFor } from '../../support/wait.ts';
import { freshNamespace, sharedControlPlane } from '../support.ts';
import type { ContractCase } from './contract-case.ts';
import { openEmbedded } from './embedded-side.ts';
import { Side } from './side.ts';
import { type Transcript, play } from './transcript.ts';

/** Both APIs, with our kinds defined on the real one. */
export interface Sides extends AsyncDisposable {
  readonly real: Side;
  readonly embedded: Side;
  /** Plays a case on both at once, each in a namespace of the same new name. */
  readonly play: (each: ContractCase) => Promise<{ readonly real: Transcript; readonly embedded: Transcript }>;
}

export async function openSides(): Promise<Sides> {
  const controlPlane = sharedControlPlane();
  await controlPlane.applyCustomResourceDefinitions();
  const { kubeconfigPath, kubectlPath } = controlPlane;
  const real = new Side({ access: controlPlane.http.access, kubeconfigPath, kubectlPath });
  const { side: embedded, ...embeddedApi } = await openEmbedded(kubectlPath);
  await foundByKubectl(real);
  const playBoth = async (each: ContractCase) => {
    const { name } = await freshNamespace();
    const body = JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    const headers = { 'content-type': 'application/json' };
    await embedded.connection.send({ method: 'POST', path: '/api/v1/namespaces', headers, body });
    const [onReal, onEmbedded] = await Promise.all([play(real, each, name), play(embedded, each, name)]);
    return { real: onReal, embedded: onEmbedded };
  };
  const close = async () => {
    real[Symbol.dispose]();
    await embeddedApi[Symbol.asyncDispose]();
  };
  return { real, embedded, play: playBoth, [Symbol.asyncDispose]: close };
}

/** Resolves once the kinds are in what `kubectl` asks for first, which is made a little after they are served. */
async function foundByKubectl({ connection }: Side): Promise<void> {
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
  const areFound = async () => {
    const { body } = await connection.send({ method: 'GET', path: '/apis', headers: { accept } });
    return ['distributedlocks', 'lockpools'].every((each) => JSON.stringify(body).includes(`"resource":"${each}"`));
  };
  await waitFor(areFound, { what: 'discovery of our kinds' });
}
