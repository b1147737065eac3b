/** One of the two APIs that are held against each other, as the runner of cases wants it. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Access } from '../control-plane/http.ts';
import { Connection } from './connection.ts';

export interface Told {
  readonly exitCode: number;
  readonly out: string;
  readonly error: string;
}

/** A `kubectl` that runs. */
export interface Running {
  /** Resolves with all that was written once it matches; rejects if the program ends before. */
  readonly said: (wanted: RegExp) => Promise<string>;
  /** Resolves with all that was written once the program has ended. */
  readonly ended: Promise<string>;
  readonly stop: () => void;
}

export interface SideOptions {
  /** For plain requests. */
  readonly access: Access;
  /** For `kubectl`. */
  readonly kubeconfigPath: string;
  readonly kubectlPath: string;
}

/** A Kubernetes API: plain requests, and `kubectl` with a home of its own. */
export class Side implements Disposable {
  readonly connection: Connection;
  readonly #options: SideOptions;
  readonly #home = mkdtempSync(join(tmpdir(), 'lockkeeper-contract-'));
  readonly #children = new Set<ChildProcess>();

  constructor(options: SideOptions) {
    this.#options = options;
    this.connection = new Connection(options.access);
  }

  /** Runs `kubectl` to its end. `input` goes to its standard input. */
  kubectl(words: readonly string[], input = ''): Promise<Told> {
    return new Promise((resolve) => {
      const child = execFile(
        this.#options.kubectlPath,
        [...words],
        { env: this.#environment() },
        (error, out, errorText) => {
          const exitCode = error === null ? 0 : Number(error.code ?? 1);
          resolve({ exitCode, out, error: errorText });
        },
      );
      child.stdin?.end(input);
    });
  }

  start(words: readonly string[]): Running {
    const child = spawn(this.#options.kubectlPath, [...words], { env: this.#environment() });
    this.#children.add(child);
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const closed = once(child, 'close').then(() => 'closed' as const);
    const said = async (wanted: RegExp): Promise<string> => {
      while (!wanted.test(text)) {
        const event = await Promise.race([once(child.stdout, 'data'), closed]);
        if (event === 'closed' && !wanted.test(text)) throw new Error(`kubectl ended and said only:\n${text}`);
      }
      return text;
    };
    return { said, ended: closed.then(() => text), stop: () => child.kill('SIGKILL') };
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.connection[Symbol.dispose]();
    rmSync(this.#home, { recursive: true });
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: this.#home,
      KUBECONFIG: this.#options.kubeconfigPath,
      KUBE_EDITOR: EDITOR,
    };
  }
}

/** What `kubectl edit` runs: the text it is to replace is in the case. */
const EDITOR = "sed -i.old 's/permits: 3/permits: 4/'";
