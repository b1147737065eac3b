/** A program of this repository as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** What is kept of what it prints, from the end. */
const OUTPUT_CHARACTERS_MAX = 200_000;

export class NodeProcess implements AsyncDisposable {
  /** What it has printed, to both outputs; the end of it if that is long. */
  output = '';
  /** Its exit code once it is gone and everything it printed is in `output`; null if a signal ended it. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcess;

  /** `script` from the root of the repository. `env`: all of its environment. Default: this process's. */
  constructor(script: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const words = ['--disable-warning=ExperimentalWarning', script, ...args];
    const child = spawn(process.execPath, words, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    const collect = (chunk: Buffer) => {
      this.output = (this.output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    // It does not outlive a test that is given up.
    const killWithUs = () => child.kill('SIGKILL');
    process.once('exit', killWithUs);
    this.ended = new Promise<number | null>((resolve) => child.on('close', resolve)).finally(() =>
      process.off('exit', killWithUs),
    );
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The first answer that `find` gives for what it has printed; rejects with what it printed if it ends before. */
  printed<Found>(find: (output: string) => Found | undefined): Promise<Found> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find(this.output);
        if (found !== undefined) resolve(found);
      };
      this.#child.stdout?.on('data', look);
      this.#child.stderr?.on('data', look);
      void this.ended.then((code) => reject(new Error(`it ended with exit code ${code} and printed:\n${this.output}`)));
    });
  }

  /** Sends the signal; it is out when this returns. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it at once, as a crash would, and resolves once it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  /** Asks it to stop, and gives its exit code. */
  stop(signal: 'SIGINT' | 'SIGTERM' = 'SIGTERM'): Promise<number | null> {
    this.signal(signal);
    return this.ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

/** A metric's value on a page of metrics, summed over its labels; `undefined` if it is not there. */
export function metricOn(page: string, name: string): number | undefined {
  const lines = page.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
  if (lines.length === 0) return undefined;
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
