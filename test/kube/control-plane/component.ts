/** One program of the control plane: a process in the background, known to everybody by a file that holds its process id. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../support/wait.ts';

export interface ComponentOptions {
  readonly name: string;
  readonly program: string;
  readonly arguments: readonly string[];
  /** Where `NAME.pid` and `NAME.log` go. */
  readonly directory: string;
  /** Whether it serves. Asked every 10 ms while it starts. */
  readonly isReady: () => Promise<boolean>;
}

/** How long a program may take until it serves, on a slow machine that is busy with other things. */
const startTimeoutMs = 120_000;
/** How long an API server may take to end by itself: it waits for open watches. */
const stopTimeoutMs = 20_000;

/**
 * The state is in the file alone, so that two processes (the one that started a control plane, and a test) can both
 * kill and start it. Not at the same time.
 */
export class Component {
  readonly name: string;
  readonly logPath: string;
  readonly #options: ComponentOptions;
  readonly #pidPath: string;
  #logStart = 0;

  constructor(options: ComponentOptions) {
    this.name = options.name;
    this.#options = options;
    this.logPath = join(options.directory, `${options.name}.log`);
    this.#pidPath = join(options.directory, `${options.name}.pid`);
  }

  /** The process id while it runs. */
  get pid(): number | undefined {
    if (!existsSync(this.#pidPath)) return undefined;
    const pid = Number(readFileSync(this.#pidPath, 'utf8'));
    return isAlive(pid) && commandLine(pid).includes(this.#options.program) ? pid : undefined;
  }

  /**
   * Starts it, on the same ports and data as ever, and resolves once it serves. Does nothing if it runs.
   *
   * @throws PortTakenError if another program listens on its port; Error with the end of its log if it ends or does not serve.
   */
  async start(): Promise<void> {
    const pid = this.pid ?? this.#spawn();
    const isServing = async (): Promise<'ready' | 'ended' | false> => {
      if (!isAlive(pid)) return 'ended';
      return (await this.#options.isReady()) && 'ready';
    };
    const outcome = await waitFor(isServing, {
      what: `answer from ${this.name}; see ${this.logPath}`,
      timeoutMs: startTimeoutMs,
    });
    if (outcome === 'ready') return;
    rmSync(this.#pidPath, { force: true });
    const said = this.#endOfLog();
    if (said.includes('address already in use')) throw new PortTakenError(`${this.name} found its port taken`);
    throw new Error(`${this.name} ended while it started. The end of ${this.logPath}:\n${said}`);
  }

  /** Ends it as a crash would (SIGKILL), and resolves once it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Asks it to end (SIGTERM), and resolves once it is gone; after 20 s it is killed. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM').catch(() => this.#end('SIGKILL'));
  }

  /** Stops its time (SIGSTOP): connections stay open, and nothing is answered until `resume`. */
  pause(): void {
    this.#signal('SIGSTOP');
  }

  resume(): void {
    this.#signal('SIGCONT');
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this;
    if (pid === undefined) throw new Error(`${this.name} does not run.`);
    process.kill(pid, signal);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const { pid } = this;
    if (pid !== undefined) {
      process.kill(pid, signal);
      // A process whose time stands still takes no other signal than SIGKILL.
      process.kill(pid, 'SIGCONT');
      await waitFor(() => !isAlive(pid), { what: `end of ${this.name}`, timeoutMs: stopTimeoutMs });
    }
    rmSync(this.#pidPath, { force: true });
  }

  #spawn(): number {
    const log = openSync(this.logPath, 'a');
    this.#logStart = fstatSync(log).size;
    // A group of its own: Ctrl-C at a terminal goes to the tests, which then take the control plane down in order.
    const child = spawn(this.#options.program, this.#options.arguments, {
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    child.on('error', () => {});
    child.unref();
    if (child.pid === undefined) throw new Error(`${this.#options.program} could not be started.`);
    writeFileSync(this.#pidPath, String(child.pid));
    return child.pid;
  }

  /** Of the last start alone. */
  #endOfLog(): string {
    return readFileSync(this.logPath).subarray(this.#logStart).toString().split('\n').slice(-20).join('\n');
  }
}

/** Another program listens where this one wanted to. */
export class PortTakenError extends Error {}

/** Of a process; empty if there is none. After a reboot the process id in the file may be another program's. */
function commandLine(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)]).toString();
  } catch {
    return '';
  }
}

/** A process that ended, and whose parent has not yet asked how, is not alive. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    // The state follows the program's name, which is in parentheses and may hold anything. The first thread may have
    // ended before the others, which still hold the ports.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8')) || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return process.platform !== 'linux';
  }
}
