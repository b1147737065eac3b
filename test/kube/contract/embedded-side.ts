import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { customResourceDefinitions } from '../../../src/api/custom-resources/definitions.ts';
import { openKubeApi } from '../../../src/dev/kube-api.ts';
import { writeKubeconfig } from '../../../src/dev/kubeconfig.ts';
import { EmbeddedStore } from '../../../src/kube/embedded/embedded-store.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { silentLog } from '../../../src/system/logger.ts';
import { seededRandom } from '../../../src/system/random.ts';
import { systemTimers } from '../../../src/system/timers.ts';
import { Side } from './side.ts';

export interface EmbeddedSide extends AsyncDisposable {
  readonly side: Side;
}

/** The embedded API as `npm start` serves it, on a free port. Its versions begin high, so that small ones have left the history. */
export async function openEmbedded(kubectlPath: string): Promise<EmbeddedSide> {
  const clock = systemClock();
  const store = new EmbeddedStore({
    clock,
    random: seededRandom(1),
    customResourceDefinitions: customResourceDefinitions(),
    initial: { objects: [], resourceVersion: '5000000' },
  });
  const api = await openKubeApi({ store, port: 0, clock, timers: systemTimers(), log: silentLog });
  const home = mkdtempSync(join(tmpdir(), 'lockkeeper-contract-'));
  const kubeconfigPath = join(home, 'config');
  await writeKubeconfig(kubeconfigPath, api.port);
  const access = { server: `http://127.0.0.1:${api.port}`, authority: '' };
  const side = new Side({ access, kubeconfigPath, kubectlPath });
  const close = async () => {
    side[Symbol.dispose]();
    await api[Symbol.asyncDispose]();
    store[Symbol.dispose]();
    rmSync(home, { recursive: true });
  };
  return { side, [Symbol.asyncDispose]: close };
}
