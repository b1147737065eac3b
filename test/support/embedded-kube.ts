/** The embedded Kubernetes API in the test's own process, and the real `kubectl` against it. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { customResourceDefinitions } from '../../src/api/custom-resources/definitions.ts';
import { type KubeApi, openKubeApi } from '../../src/dev/kube-api.ts';
import { writeKubeconfig } from '../../src/dev/kubeconfig.ts';
import { EmbeddedStore } from '../../src/kube/embedded/embedded-store.ts';
import type { EmbeddedStoreOptions } from '../../src/kube/embedded/store-options.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLog } from '../../src/system/logger.ts';
import { seededRandom } from '../../src/system/random.ts';
import { systemTimers } from '../../src/system/timers.ts';

/** Whether the real `kubectl` is on this machine. */
export function hasKubectl(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export function embeddedStore(options: Partial<EmbeddedStoreOptions> = {}): EmbeddedStore {
  return new EmbeddedStore({
    clock: systemClock(),
    random: seededRandom(1),
    customResourceDefinitions: customResourceDefinitions(),
    ...options,
  });
}

export interface Told {
  readonly exitCode: number;
  readonly out: string;
  readonly error: string;
}

/** A store, its API on a free port, and a home directory of its own for `kubectl`, which keeps what it discovered there. */
export class EmbeddedKube implements AsyncDisposable {
  readonly store: EmbeddedStore;
  readonly api: KubeApi;
  readonly home: string;
  readonly #children: ChildProcess[] = [];

  private constructor(store: EmbeddedStore, api: KubeApi, home: string) {
    this.store = store;
    this.api = api;
    this.home = home;
  }

  static async open(): Promise<EmbeddedKube> {
    const store = embeddedStore();
    const platform = { clock: systemClock(), timers: systemTimers(), log: silentLog };
    const api = await openKubeApi({ store, port: 0, ...platform });
    const home = mkdtempSync(join(tmpdir(), 'lockkeeper-kube-'));
    await writeKubeconfig(join(home, 'config'), api.port);
    return new EmbeddedKube(store, api, home);
  }

  /** Runs `kubectl` to its end. `input` goes to its standard input. */
  kubectl(words: readonly string[], input = '', variables: Readonly<Record<string, string>> = {}): Promise<Told> {
    return new Promise((resolve) => {
      const env = { ...this.#environment(), ...variables };
      const child = execFile('kubectl', [...words], { env }, (error, out, errorText) => {
        const exitCode = error === null ? 0 : Number(error.code ?? 1);
        resolve({ exitCode, out, error: errorText });
      });
      child.stdin?.end(input);
    });
  }

  /** Starts `kubectl` and lets it run; `said` resolves once its output matches. */
  start(words: readonly string[]): {
    readonly said: (wanted: RegExp) => Promise<string>;
    readonly ended: Promise<unknown>;
  } {
    const child = spawn('kubectl', [...words], { env: this.#environment() });
    this.#children.push(child);
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const ended = once(child, 'close').then(() => 'ended' as const);
    const said = async (wanted: RegExp): Promise<string> => {
      while (!wanted.test(text)) {
        const event = await Promise.race([once(child.stdout, 'data'), ended]);
        if (event === 'ended' && !wanted.test(text)) throw new Error(`kubectl ended and said only:\n${text}`);
      }
      return text;
    };
    return { said, ended };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await this.api[Symbol.asyncDispose]();
    this.store[Symbol.dispose]();
    rmSync(this.home, { recursive: true });
  }

  #environment(): NodeJS.ProcessEnv {
    return { PATH: process.env['PATH'] ?? '', HOME: this.home, KUBECONFIG: join(this.home, 'config') };
  }
}
